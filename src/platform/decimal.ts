/** A decimal number without rounding: `units` × 10^`exponent`. Zero is `{0n, 0}`; `units` never ends in a zero digit. */
export type Decimal = { units: bigint; exponent: number };

const NUMBER = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/;

/** Longer numbers, or larger exponents, are refused: comparing them would cost seconds, which a hostile source could use. */
const MAX_DIGITS = 1_000;
const MAX_EXPONENT = 10_000;

/** Reads decimal text such as `12.50`, `-3e7`; `null` when it is not a number, or one beyond 1,000 digits or 10^±10,000. */
export function parseDecimal(text: string): Decimal | null {
  const match = NUMBER.exec(text);
  if (!match) return null;
  const fraction = match[3] ?? "";
  const digits = `${match[2]}${fraction}`.replace(/^0+/, "");
  if (digits === "") return { units: 0n, exponent: 0 };
  const trimmed = withoutTrailingZeros(digits);
  const exponent = Number(match[4] ?? 0) - fraction.length + (digits.length - trimmed.length);
  if (trimmed.length > MAX_DIGITS || Math.abs(exponent) > MAX_EXPONENT) return null;
  return { units: BigInt(match[1] + trimmed), exponent };
}

/** Negative, zero or positive, as `a` is below, equal to or above `b`. */
export function compareDecimals(a: Decimal, b: Decimal): number {
  const left = scaledTo(a, b.exponent);
  const right = scaledTo(b, a.exponent);
  return left < right ? -1 : left > right ? 1 : 0;
}

/** a − b. */
export function subtractDecimals(a: Decimal, b: Decimal): Decimal {
  return { units: scaledTo(a, b.exponent) - scaledTo(b, a.exponent), exponent: Math.min(a.exponent, b.exponent) };
}

/** a × b. */
export function multiplyDecimals(a: Decimal, b: Decimal): Decimal {
  return { units: a.units * b.units, exponent: a.exponent + b.exponent };
}

export function absoluteDecimal(a: Decimal): Decimal {
  return a.units < 0n ? { units: -a.units, exponent: a.exponent } : a;
}

/** The one text for this value: plain digits where that stays short (`1234.5`), else `12345e600`. */
export function writeDecimal({ units, exponent }: Decimal): string {
  const sign = units < 0n ? "-" : "";
  const digits = String(units < 0n ? -units : units);
  if (exponent >= 0) return exponent <= 40 ? `${sign}${digits}${"0".repeat(exponent)}` : `${sign}${digits}e${exponent}`;
  const whole = digits.length + exponent;
  if (whole > 0) return `${sign}${digits.slice(0, whole)}.${digits.slice(whole)}`;
  return whole > -40 ? `${sign}0.${"0".repeat(-whole)}${digits}` : `${sign}${digits}e${exponent}`;
}

/** The units of `a` when its exponent is lowered to `exponent`, if that is lower. */
function scaledTo(a: Decimal, exponent: number): bigint {
  return a.exponent > exponent ? a.units * 10n ** BigInt(a.exponent - exponent) : a.units;
}

/** A loop, since `/0+$/` takes quadratic time on long runs of zeros. */
function withoutTrailingZeros(digits: string): string {
  let end = digits.length;
  while (digits.charCodeAt(end - 1) === 48) end--;
  return digits.slice(0, end);
}
