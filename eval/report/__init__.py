"""Report on an archive: whether reranking helps, how good the answers are, and at which stage wrong answers failed.

1. `runner.ask_archive` asks every question with and without reranking and writes the results to a folder (`folder`).
2. `build.build_report` scores that folder against references and relevance judgements, with a judge as the only model.
3. `render.write_report` writes report.json and a self-contained report.html.

A folder can be scored again, and may come from another system: `folder` lists its files. `calibrate` takes a margin threshold
for abstaining from it.
"""
