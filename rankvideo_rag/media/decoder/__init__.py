"""What runs in the decoder process: opening containers, walking packets, decoding. Only here is FFmpeg loaded to read."""
