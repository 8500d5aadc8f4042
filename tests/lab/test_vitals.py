from grandstand.lab.vitals import Used, cores_between


def test_what_a_process_used_counts_once_when_it_ends() -> None:
    before = {1: Used("postgres", 1.0, 10.0), 2: Used("postgres", 60.0, 0.0), 3: Used("http", 5.0, 0.0)}
    # The second ended after another half second and left all its time to the first.
    after = {1: Used("postgres", 1.1, 70.5), 3: Used("http", 5.7, 0.0), 4: Used("postgres", 0.4, 0.0)}

    cores, busiest = cores_between(before, after, 2.0)

    assert cores == {"postgres": 0.3, "http": 0.35}
    assert busiest == {"postgres": 0.05, "http": 0.35}


def test_nothing_is_less_than_nothing() -> None:
    # Its parent has not been told of its end.
    cores, busiest = cores_between({1: Used("sh", 1.0, 0.0), 2: Used("sh", 3.0, 0.0)}, {1: Used("sh", 1.0, 0.0)}, 1.0)

    assert (cores, busiest) == ({"sh": 0.0}, {"sh": 0.0})
