"""Text that others wrote, on the terminal of whoever runs a command: it is shown, and steers nothing."""


def plain(text: str) -> str:
    """Without what would steer the terminal."""
    return "".join(each if each.isprintable() or each == "\n" else " " for each in text)


def on_one_line(text: str) -> str:
    """The same, and no line of it can pass for one of ours."""
    return plain(text).replace("\n", " ")
