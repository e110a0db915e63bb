"""What is printed and what is judged: a line has its figure, the limit of tests/budgets, and "ok" or "MISSED"."""
import os
import statistics

missed = []


def median(values):
    return statistics.median(values) if values else float("nan")


def load():
    return "load " + open("/proc/loadavg", encoding="ascii").read().split()[0]


def say(text):
    print(text, flush=True)


def title(text):
    say(f"\n== {text} ==  ({load()} of {os.cpu_count()} processors)")


def told(values, form="{:.0f}"):
    """The median, and between what all lie."""
    return f"{form.format(median(values))} ({form.format(min(values))} to {form.format(max(values))})"


def judge(what, value, limit, unit, least=True):
    good = value >= limit if least else value <= limit
    say(f"{'ok    ' if good else 'MISSED'} {what}: {value:.4g} {unit}, {'at least' if least else 'at most'} {limit:g}")
    if not good:
        missed.append(what)


def finish():
    say("")
    if os.getloadavg()[0] > 3 * os.cpu_count():
        say("others kept the processors busy: Mbit/s are what was left, ratios are of samples close to each other")
    if missed:
        say(f"{len(missed)} missed: " + "; ".join(missed))
    return 1 if missed else 0
