from __future__ import annotations

from spawner import ProcessSpawner


def test_the_twenty_lines_of_the_readme(capfd):
    with ProcessSpawner(name="worker") as proc:
        np = proc._import("numpy")
        a = np.arange(10, _return_type="proxy")
        assert a.sum() == 45
        assert a[3] == 3
        assert len(a) == 10
        assert list(a[:3]) == [0, 1, 2]
        future = np.linalg.svd(a.reshape(2, 5), _sync="async")
        assert future.result().S.shape == (2,)
        proc.client["latest"] = [1, 2]
        assert proc["latest"] == [1, 2]
        proc._import("sys").stdout.write("hi\n", _sync="off")
    assert capfd.readouterr().out == "hi\n"
