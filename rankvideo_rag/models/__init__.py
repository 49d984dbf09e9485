"""Models behind one protocol each: vision-language models, embedders, speech recognition and OCR. One file per backend."""
