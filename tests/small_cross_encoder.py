"""A cross-encoder small enough to be made by a test."""

from pathlib import Path

PASSAGES = ("Gout is treated with colchicine.", "", "Réanimation — 心電図 😀", "Warfarin and vitamin K. " * 200)


def small_model(folder: Path, outputs: int = 1, seed: int = 0) -> Path:
    """A cross-encoder of two layers with weights by chance, as sentence-transformers loads it."""
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

    words = sorted({word for text in PASSAGES for word in text.lower().replace(".", " ").split()})
    marks = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    vocabulary = {word: number for number, word in enumerate([*marks, *words])}
    plain = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    plain.normalizer = normalizers.Lowercase()
    plain.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = BertTokenizerFast(tokenizer_object=plain, model_max_length=64)
    torch.manual_seed(seed)
    described = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
        num_labels=outputs,
    )
    BertForSequenceClassification(described).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
