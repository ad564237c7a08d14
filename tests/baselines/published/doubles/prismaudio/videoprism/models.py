TEXT_TOKENIZERS = {"c4_en": {"model_path": "gs://somewhere", "vocab_size": 32000}}
