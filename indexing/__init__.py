"""From a folder of media to an archive: discover, probe, segment, words, vectors, store. Knows no LlamaIndex."""
