from collections.abc import Callable

import pytest

from ovenbird.lab.errors import LabError
from ovenbird.lab.rollback import undone_by


def test_every_step_is_taken_whichever_of_them_fail() -> None:
    taken: list[int] = []

    def step(number: int) -> Callable[[], None]:
        def take() -> None:
            taken.append(number)
            if number == 2:
                raise LabError("the second cannot")

        return take

    with undone_by(*map(step, (1, 2, 3))):
        pass
    assert taken == []
    with pytest.raises(KeyboardInterrupt) as caught, undone_by(*map(step, (1, 2, 3))):
        raise KeyboardInterrupt
    assert taken == [1, 2, 3]
    assert caught.value.__notes__ == ["and not all of it could be undone: the second cannot"]
