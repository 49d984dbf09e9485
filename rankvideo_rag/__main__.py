"""Run the command line as `python -m rankvideo_rag`."""

from rankvideo_rag.cli import main

if __name__ == "__main__":
    main()
