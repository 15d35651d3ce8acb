"""Official data: found where it is, and wrong files and records named."""

from __future__ import annotations

from pathlib import Path

import pytest

from acenv.envs.sources import RecordError, find_file, find_source, read_json, read_json_lines, take


def test_a_missing_source_says_what_was_expected(tmp_path: Path) -> None:
    assert find_source(tmp_path, "X") == tmp_path
    with pytest.raises(FileNotFoundError, match="no X data at .*nowhere.*official layout"):
        find_source(tmp_path / "nowhere", "X")


def test_files_are_found_further_down_and_the_error_lists_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.json").write_text("{}")
    assert find_file(tmp_path, "b.json", "a.json") == tmp_path / "data" / "a.json"
    with pytest.raises(FileNotFoundError, match=r"holds no b\.json; it holds data"):
        find_file(tmp_path, "b.json")


def test_errors_name_the_file_the_record_and_what_was_expected(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"x": 1}\n\n[2]\n')
    with pytest.raises(
        RecordError, match=r"a\.jsonl, record in line 3: expected a JSON object, got a list with 1 item"
    ):
        list(read_json_lines(path))
    with pytest.raises(RecordError, match=r"record 7: expected a text in 'x', got 1"):
        take({"x": 1}, "x", str, path, 7)
    with pytest.raises(RecordError, match="expected a field 'y' with a list"):
        take({"x": 1}, "y", list, path, 7)
    path.write_bytes(b"\xff{")
    with pytest.raises(RecordError, match="expected JSON in UTF-8"):
        read_json(path)


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    import os

    path = tmp_path / "a.json"
    path.write_text("[1]")
    assert read_json(path) == [1]
    path.write_text("[2]")
    os.utime(path, ns=(1, 1))
    assert read_json(path) == [2]
