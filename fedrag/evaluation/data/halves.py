"""Which questions are the development half, where listing their ids would be long."""


def halves(drawn: str) -> dict[str, str]:
    """Set of questions → a 0 or 1 for each of them in its file's order; 1 is the development half. Up to three zeros
    may follow the last.

    `drawn`: for each set its name at the beginning of a line, then the bits in hexadecimal, the first question's the
    highest, over as many indented lines as it takes.
    """
    digits: dict[str, str] = {}
    name = ""
    for line in drawn.splitlines():
        words = line.split()
        if words and not line[0].isspace():
            name, *words = words
            digits[name] = ""
        digits[name] += "".join(words)
    return {name: f"{int(one, 16):0{4 * len(one)}b}" for name, one in digits.items()}
