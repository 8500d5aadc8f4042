"""Where the streams of a deployment are: a hash tag each, so that a cluster spreads them over its shards."""

TAGS = (
    "events", "events:1da", "events:2ba", "events:3ai", "events:4eg", "events:5fr", "events:6ad", "events:7bh",
    "events:8da", "events:9dq", "events:10bh", "events:11fe",
)  # fmt: skip
"""The tag of each stream, by its number; never changed, for acknowledged events lie under them.

Of any N of them that begin with the first, each has its slot in another of N equal parts of all slots: a cluster of N
shards that are equally large, as it is when it is made, has one on each shard, and N/2 shards have two each.
"""

STREAMS_MAX = len(TAGS)


def stream_key(prefix: str, number: int, name: str) -> str:
    """Return the key of something that belongs to a stream."""
    return f"{prefix}:{{{TAGS[number]}}}:{name}"
