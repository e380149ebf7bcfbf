"""The constants of the floating-point steps, exact to the bit (docs/sampler.md, sections 4 to 6).

The polynomials are Chebyshev interpolants computed with 40 digits and rounded to float32. Reference and kernels
share these numbers: a change here is a new sampler version.
"""

from __future__ import annotations

import numpy as np


def _f32(*texts: str) -> tuple[np.float32, ...]:
    return tuple(np.float32(float.fromhex(text)) for text in texts)


# 2 * atanh(s) = s * (2 + s²·(A[0] + s²·(A[1] + ...))) for s² <= 1/9, relative error 1e-9
ATANH = _f32("0x1.555556p-1", "0x1.9998d4p-2", "0x1.24c926p-2", "0x1.bc8cf8p-3", "0x1.dba26p-3")
# cos(pi/2 * x) = 1 - (t + t·(C[0] + t·(C[1] + ...))), t = x², for |x| <= 1/2: the leading 1 of pi²/8 costs no rounding
COS = _f32("0x1.de9e64p-3", "-0x1.03c1eap-2", "0x1.55cb98p-6", "-0x1.db6492p-11")
# sin(pi/2 * x) = x + x·(S[0] + t·(S[1] + ...)) for |x| <= 1/2: the leading 1 of pi/2 costs no rounding
SIN = _f32("0x1.243f6ap-1", "-0x1.4abbbap-1", "0x1.465ec4p-4", "-0x1.2d9b4p-8")
# ln 2 in two parts; LN2_HIGH has 15 significant bits, so k · LN2_HIGH is exact for every k <= 33
LN2_HIGH, LN2_LOW = _f32("0x1.62e4p-1", "0x1.7f7d1cp-20")
SQRT_HALF_BITS = np.int32(0x3F3504F3)

# 2 * atanh(s) in float64 for |s| <= 0.1716: the Taylor series 2·(1 + s²/3 + s⁴/5 + ...), twelve terms
ATANH64 = tuple(2.0 / (2 * k + 1) for k in range(12))
LN2_HIGH64, LN2_LOW64 = float.fromhex("0x1.62e42fee00000p-1"), float.fromhex("0x1.a39ef35793c76p-33")

SQRT_HALF_BITS64, SQRT_HALF_WORD64 = 0x3FE6A09E667F3BCD, 0xB504F333F9DE6484
# cos(pi/2 * x) and sin(pi/2 * x) in float64, in the same form as COS and SIN above; relative error below 5e-17
COS64 = tuple(
    float.fromhex(text) for text in (
        "0x1.de9e64df22ef3p-3", "-0x1.03c1f081b5ac0p-2", "0x1.55d3c7e3cb241p-6", "-0x1.e1f5068688d5bp-11",
        "0x1.a6d1eef479be1p-16", "-0x1.f9ce245cada0bp-22", "0x1.b2f3eb054afcdp-28",
    )
)  # fmt: skip
SIN64 = tuple(
    float.fromhex(text) for text in (
        "0x1.243f6a8885a31p-1", "-0x1.4abbce625be53p-1", "0x1.466bc6775aad9p-4", "-0x1.32d2cce62ac22p-8",
        "0x1.50783485cbd83p-13", "-0x1.e3074b4ff3058p-19", "0x1.e8eed12ee00a3p-25", "-0x1.6c5b875d4e739p-31",
    )
)  # fmt: skip

# Wichura 1988, algorithm AS 241 (PPND16): the normal quantile as three rational functions, low power first
CENTRAL_NUMERATOR = (
    3.3871328727963666080e0, 1.3314166789178437745e2, 1.9715909503065514427e3, 1.3731693765509461125e4,
    4.5921953931549871457e4, 6.7265770927008700853e4, 3.3430575583588128105e4, 2.5090809287301226727e3,
)  # fmt: skip
CENTRAL_DENOMINATOR = (
    1.0, 4.2313330701600911252e1, 6.8718700749205790830e2, 5.3941960214247511077e3,
    2.1213794301586595867e4, 3.9307895800092710610e4, 2.8729085735721942674e4, 5.2264952788528545610e3,
)  # fmt: skip
MIDDLE_NUMERATOR = (
    1.42343711074968357734e0, 4.63033784615654529590e0, 5.76949722146069140550e0, 3.64784832476320460504e0,
    1.27045825245236838258e0, 2.41780725177450611770e-1, 2.27238449892691845833e-2, 7.74545014278341407640e-4,
)  # fmt: skip
MIDDLE_DENOMINATOR = (
    1.0, 2.05319162663775882187e0, 1.67638483018380384940e0, 6.89767334985100004550e-1,
    1.48103976427480074590e-1, 1.51986665636164571966e-2, 5.47593808499534494600e-4, 1.05075007164441684324e-9,
)  # fmt: skip
TAIL_NUMERATOR = (
    6.65790464350110377720e0, 5.46378491116411436990e0, 1.78482653991729133580e0, 2.96560571828504891230e-1,
    2.65321895265761230930e-2, 1.24266094738807843860e-3, 2.71155556874348757815e-5, 2.01033439929228813265e-7,
)  # fmt: skip
TAIL_DENOMINATOR = (
    1.0, 5.99832206555887937690e-1, 1.36929880922735805310e-1, 1.48753612908506148525e-2,
    7.86869131145613259100e-4, 1.84631831751005468180e-5, 1.42151175831644588870e-7, 2.04426310338993978564e-15,
)  # fmt: skip
