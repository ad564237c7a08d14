from selva.model.networks_generator import Network


class TextSynch(Network):
    def update_seq_lengths(self, video_seq_len):
        self.lengths = video_seq_len


def get_my_textsynch(name, **kwargs):
    return TextSynch()
