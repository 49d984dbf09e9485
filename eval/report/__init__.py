"""The scorecard of an archive: did reranking help, what were the answers worth, and where were the wrong ones lost.

    questions.py, asking.py, writing.py   an archive is asked all questions, with and without reranking, into a folder
    folder.py, replies.py                 that folder, read back strictly
    stages.py, estimates.py, scoring.py   scored against references and judgements: one record (records.py), report.json
    threshold.py                          the margin from which on the archive should answer, from those questions
    pictures.py, page.py                  and drawn as one page of HTML that needs nothing else

A folder is scored again without any model, and may come from another system: folder.py names its files.
"""
