import types


def get_my_vae(name, **kwargs):
    return types.SimpleNamespace(state_dict=lambda: {})
