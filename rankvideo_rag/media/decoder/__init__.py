"""The decoder process: open containers, read packets, decode. Only these modules load FFmpeg to read a file."""
