"""headwater.hpp: every class in use, by C++17 and C++20, without warnings."""

import pytest
from conftest import ATTENTION, ROOT, run


@pytest.mark.parametrize("standard", ["c++17", "c++20"])
def test_the_client_finds_what_the_c_library_has(build, standard):
    done = run(build(ROOT / "tests/api/client.cpp", options=[f"-std={standard}", "-Wshadow"]), ATTENTION)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_header_may_be_included_by_several_files(build, tmp_path):
    (tmp_path / "other.cpp").write_text('#include "headwater.hpp"\nheadwater::span<int> other() { return {}; }\n')
    (tmp_path / "main.cpp").write_text('#include "headwater.hpp"\nheadwater::span<int> other();\n'
                                       "int main() { return other().size() != 0; }\n")
    assert run(build(tmp_path / "main.cpp", options=["-std=c++17", str(tmp_path / "other.cpp")])).returncode == 0
