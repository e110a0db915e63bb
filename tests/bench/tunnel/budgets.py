"""The limits of tests/budgets, which says what they are."""
import os

FILE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "budgets")


def budget(name):
    with open(FILE, encoding="utf-8") as lines:
        for line in lines:
            words = line.split()
            if words and words[0] == name:
                return float(words[1])
    raise KeyError(f"tests/budgets has no line {name}")
