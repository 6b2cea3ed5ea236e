import pytest

from obstack.model.passwords import weakness


@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("short", "has 5 characters"),
        ("eleven-char", "has 11 characters"),
        ("password1234", "guessing begins with"),
        ("PassWord!!2024", "guessing begins with"),
        ("p4ssw0rd2024!!", "guessing begins with"),
        ("adminadminadmin", "guessing begins with"),
        ("adminpassword123", "guessing begins with"),
        ("observability1", "guessing begins with"),
        ("wintermute2024", "guessing begins with"),
        ("aaaaaaaaaaaaaaaa", "repeats a few characters"),
        ("121212121212", "repeats a few characters"),
        ("abcdefghijkl", "guessing begins with"),
        ("mnopqrstuvwxyz", "run of neighbouring keys"),
        ("123456789012", "run of neighbouring keys"),
        ("lkjhgfdsapoiuytrewq", "run of neighbouring keys"),
    ],
)
def test_what_is_weak_is_said_without_the_password(password: str, why: str) -> None:
    weak = weakness(password, "wintermute")
    assert weak is not None
    assert why in weak
    assert password not in weak


@pytest.mark.parametrize(
    "password",
    [
        "ijfGvYa3KNYWfV9rLMwxhyPr",
        "test-8347298347923",
        "blue gravel hums at noon",
        "x8!K2-91#47$55&9",
        "9f8e7d6c5b4a3021",
    ],
)
def test_what_is_strong_passes(password: str) -> None:
    assert weakness(password, "admin") is None
