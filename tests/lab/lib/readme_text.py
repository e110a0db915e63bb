"""What README.md tells people to type.

    readme_text.py FILE CHAPTER     the commands of a chapter in their order, a line each: COMMAND, tab, what is said behind it
"""
import re, sys


def lines(path):
    """(line, text, comment) of each line of code, each `span`, each "quotation" and each [link](target), without the
    chapter on performance."""
    with open(path) as f:
        text = f.read().split("\n## Performance")[0]
    paragraph, began = "", 0
    for number, line in enumerate(text.split("\n") + [""], 1):
        code = re.match(r" {4,}(?=\S)", line) and not re.match(r" {4,}[-*] ", line)
        if not code and line.strip() and not re.match(r"\s*(\d+\.|[-|]|#)", line):
            paragraph, began = paragraph + " " + line.strip(), began or number
            continue
        for m in re.finditer(r"`([^`]+)`|\"([^\"]+)\"|\]\(([^)]+)\)", paragraph):
            yield began, next(g for g in m.groups() if g), ""
        paragraph, began = ("", 0) if code or not line.strip() else (line.strip(), number)
        if code:
            command, _, comment = re.sub(r"\s+# ", "\0", line, count=1).partition("\0")
            yield number, command.strip(), comment.strip()


def commands(path, chapter):
    with open(path) as f:
        heads = [(number, line[3:].strip()) for number, line in enumerate(f, 1) if line.startswith("## ")]
    first = next(number for number, head in heads if head == chapter)
    last = next((number for number, _ in heads if number > first), sys.maxsize)
    for number, text, comment in lines(path):
        if first < number < last and re.match(r"(sudo|kubectl|mkdir) ", text):
            yield text, comment


if __name__ == "__main__":
    for command, comment in commands(sys.argv[1], sys.argv[2]):
        print(command, comment, sep="\t")
