"""Numbers written as JavaScript writes them, so that texts compare equal on both sides."""

from __future__ import annotations

import math

__all__ = ["number_text"]


def number_text(number: float) -> str:
    """Write a float as JavaScript's ``String(number)`` does.

    >>> [number_text(n) for n in (1.0, -0.0, 1.5, 1e16, 1e21, 1e-7, 0.00001)]
    ['1', '0', '1.5', '10000000000000000', '1e+21', '1e-7', '0.00001']
    """
    if math.isnan(number):
        return "NaN"
    if math.isinf(number):
        return "Infinity" if number > 0 else "-Infinity"
    if number == 0:
        return "0"
    sign = "-" if number < 0 else ""
    mantissa, _, exponent = float.__repr__(abs(number)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    if fraction == "0":
        fraction = ""
    digits = (whole + fraction).lstrip("0")
    leading_zeros = len(whole + fraction) - len(digits)
    point = len(whole) - leading_zeros + int(exponent or 0)
    digits = digits.rstrip("0")
    if 0 < point <= 21:
        if len(digits) <= point:
            return sign + digits.ljust(point, "0")
        return f"{sign}{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    power = point - 1
    tail = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{sign}{digits[0]}{tail}e{'+' if power > 0 else '-'}{abs(power)}"
