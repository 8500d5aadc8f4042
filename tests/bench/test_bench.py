"""The benchmark runs and writes what it promises. Its figures mean nothing here: the sizes are tiny."""

import json

from bench.cli import main


def test_a_tiny_run_writes_sane_figures(tmp_path, capsys):
    path = tmp_path / "result.json"

    code = main(
        ["--plan", "tiny", "--only", "whole-path", "--only", "limits", "--only", "latency", "--output", str(path)]
    )

    assert code == 0
    assert "whole path" in capsys.readouterr().out
    result = json.loads(path.read_text())
    assert result["machine"]["cores"] >= 1
    assert result["code"]["versions"]["msgspec"]
    assert result["settings"]["plan"] == "tiny"
    rows = {row["key"]: row for row in result["rows"]}
    assert set(rows) == {
        *("whole_path", "drain", "accept_batches"),
        *("limits", "limits_own"),
        *("accept_p50_ms", "accept_p99_ms", "visible_p50_ms", "visible_p99_ms"),
    }
    for row in rows.values():
        assert row["product"] > 0
    whole = rows["whole_path"]
    assert whole["ceiling"] > 0
    assert whole["ratio"] > 0
    assert whole["is_met"] is (whole["ratio"] >= whole["target"])
    for key in ("limits", "limits_own"):
        assert rows[key]["ratio"] > 0
        assert rows[key]["facts"]["cpu_us_unlimited"] > 0
    assert rows["accept_p50_ms"]["product"] <= rows["visible_p99_ms"]["product"]
