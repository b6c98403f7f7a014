"""Money: integer micro-dollars inside, `Decimal` US dollars at the edges."""

from decimal import ROUND_HALF_UP, Decimal

MICROS = 1_000_000
_CENT_OF_A_CENT = Decimal("0.000001")


def to_micros(usd: Decimal) -> int:
    """US dollars as micro-dollars, rounded half up."""
    return int((usd * MICROS).to_integral_value(rounding=ROUND_HALF_UP))


def to_usd(micros: int) -> Decimal:
    """Micro-dollars as US dollars with six decimals, exactly."""
    return (Decimal(micros) / MICROS).quantize(_CENT_OF_A_CENT)


def text(micros: int) -> str:
    """Micro-dollars as plain decimal text: 1500 -> '0.001500'."""
    sign = "-" if micros < 0 else ""
    whole, part = divmod(abs(micros), MICROS)
    return f"{sign}{whole}.{part:06d}"


def rate(usd_per_million: Decimal) -> int:
    """A price in USD per million tokens as micro-dollars per million tokens."""
    return to_micros(usd_per_million)


def cost(tokens: int, rate_per_million: int) -> int:
    """Micro-dollars times one million, to be summed before `settle` rounds once."""
    return tokens * rate_per_million


def round_cost(scaled: int) -> int:
    """The sum of `cost` terms as whole micro-dollars, rounded half up.

    Any cost is at least one micro-dollar: else many small requests would be free, and no
    budget would ever stop them.
    """
    if scaled <= 0:
        return 0
    return max(1, (scaled + MICROS // 2) // MICROS)
