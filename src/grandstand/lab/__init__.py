"""The load lab: a stated model of players, sent to a real server without waiting for it, with every reply judged."""
