"""Small files in the layouts of published datasets."""

from typing import Any

WIKIVIDEO_TOPIC: dict[str, Any] = {
    "query_id": "test_pt2_query_1",
    "videos": {
        "yt1": {"anon_scale_id": "19202", "language": "english", "relevance": 3},
        "yt2": {"anon_scale_id": "43000", "relevance": 2},
        "yt3": {"language": "english"},
    },
    "claims_to_supporting_videos": {
        "It erupted": {"supporting_videos": ["yt1", "watch?v=yt3&t=46s"], "videos_modalities": {}},
        "Nobody shows it": {"supporting_videos": []},
    },
    "article": "…",
}
DIDEMO: list[dict[str, Any]] = [
    {"annotation_id": 1, "video": "a_1.mov", "description": "a bug", "times": [[4, 4], [0, 1], [4, 4]], "num_segments": 6},
    {"annotation_id": 2, "video": "a_1.mp4", "description": "rocks ", "times": [[0, 0]]},
]
