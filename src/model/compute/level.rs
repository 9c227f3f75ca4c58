//! Which instructions the kernels use: the best that the processor has, or fewer if the user asks for it.

use std::sync::OnceLock;

/// The environment variable that limits the kernels to a level: for tests and bug reports.
pub const VARIABLE: &str = "SNAPSEEK_CPU";

/// Instruction set levels, lowest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// What the program was compiled for: SSE2 on x86-64, NEON on Arm.
    Baseline,
    /// AVX2, FMA and F16C.
    Avx2,
    /// The same, and AVX-VNNI for integer products.
    AvxVnni,
    /// AVX2 and AVX-512 F, BW and VL; if the processor also has VNNI in 512 bits, integer products use it.
    Avx512,
}

impl Level {
    /// Every level, lowest first.
    pub const ALL: [Self; 4] = [Self::Baseline, Self::Avx2, Self::AvxVnni, Self::Avx512];

    /// Whether this processor has the level. It may have a higher one without: AVX-512 is older than AVX-VNNI.
    #[cfg(target_arch = "x86_64")]
    fn is_here(self) -> bool {
        use std::arch::is_x86_feature_detected as has;
        let avx2 = || has!("avx2") && has!("fma") && has!("f16c");
        match self {
            Self::Baseline => true,
            Self::Avx2 => avx2(),
            Self::AvxVnni => avx2() && has!("avxvnni"),
            Self::Avx512 => avx2() && has!("avx512f") && has!("avx512bw") && has!("avx512vl"),
        }
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn is_here(self) -> bool {
        self == Self::Baseline
    }

    /// The levels of this processor, lowest first.
    pub fn of_processor() -> impl DoubleEndedIterator<Item = Self> {
        Self::ALL.into_iter().filter(|level| level.is_here())
    }

    /// The highest level of this processor that is not above this one.
    fn or_lower(self) -> Self {
        Self::of_processor().rfind(|level| *level <= self).unwrap_or(Self::Baseline)
    }

    /// The level with this name.
    ///
    /// # Errors
    /// No level has this name; the message lists those that exist.
    pub fn named(name: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|level| level.name() == name);
        found.ok_or_else(|| format!("{VARIABLE}={name:?} is not one of {}", Self::ALL.map(Self::name).join(", ")))
    }

    /// The name of the level, as in [`VARIABLE`].
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Baseline => "baseline",
            Self::Avx2 => "avx2",
            Self::AvxVnni => "avxvnni",
            Self::Avx512 => "avx512",
        }
    }

    /// The level that the kernels use: the highest that the processor has, and not above the one in [`VARIABLE`].
    ///
    /// # Errors
    /// The value of the variable is not the name of a level.
    pub fn wanted() -> Result<Self, String> {
        match std::env::var(VARIABLE) {
            Ok(name) if !name.is_empty() => Ok(Self::named(&name)?.or_lower()),
            _ => Ok(Self::Avx512.or_lower()),
        }
    }
}

/// [`Level::wanted`], decided when a kernel first runs. An invalid name is ignored here, because the settings have
/// already reported it.
#[inline]
pub(in crate::model) fn level() -> Level {
    static LEVEL: OnceLock<Level> = OnceLock::new();
    *LEVEL.get_or_init(|| Level::wanted().unwrap_or_else(|_| Level::Avx512.or_lower()))
}

/// Whether the kernels may use VNNI in 512 bits.
#[inline]
pub(in crate::model) fn has_vnni() -> bool {
    #[cfg(target_arch = "x86_64")]
    return level() == Level::Avx512 && std::arch::is_x86_feature_detected!("avx512vnni");
    #[cfg(not(target_arch = "x86_64"))]
    false
}

/// Whether the kernels may multiply bytes and add the products in one instruction: with VNNI in 512 or 256 bits.
#[inline]
pub(in crate::model) fn has_byte_products() -> bool {
    has_vnni() || level() == Level::AvxVnni
}

/// Whether products of bytes are faster than products of f32: with VNNI or AVX2, but not with AVX-512 without VNNI.
#[inline]
pub(in crate::model) fn integers_are_fast() -> bool {
    has_byte_products() || level() == Level::Avx2
}

/// Defines a function with versions for several levels; each call chooses one by [`level`].
///
/// A version is an expression that uses the arguments' names; the versions for AVX may call `#[target_feature]`
/// functions. If there is a body instead of versions, it is compiled for all three. The compiler never
/// fuses a multiplication with an addition, so such a body gives the same bits at every level. It should not use
/// `mul_add`, which is slow without FMA.
macro_rules! by_level {
    ($(#[$meta:meta])* $vis:vis fn $name:ident ($($arg:ident: $type:ty),* $(,)?) {
        $best:ident => $first:expr, $next:ident => $second:expr, portable => $last:expr $(,)?
    }) => {
        $(#[$meta])*
        $vis fn $name($($arg: $type),*) {
            by_level!(@version $best [] [] ($($arg: $type),*) ($($arg),*) $first);
            by_level!(@version $next [] [] ($($arg: $type),*) ($($arg),*) $second);
            $last
        }
    };
    ($(#[$meta:meta])* $vis:vis fn $name:ident <const $size:ident: usize> ($($arg:ident: $type:ty),* $(,)?) {
        vnni => $first:expr, avx2 => $second:expr, portable => $last:expr $(,)?
    }) => {
        $(#[$meta])*
        $vis fn $name<const $size: usize>($($arg: $type),*) {
            by_level!(@version vnni [<const $size: usize>] [::<$size>] ($($arg: $type),*) ($($arg),*) $first);
            by_level!(@version avx2 [<const $size: usize>] [::<$size>] ($($arg: $type),*) ($($arg),*) $second);
            $last
        }
    };
    ($(#[$meta:meta])* $vis:vis fn $name:ident <const $size:ident: usize> ($($arg:ident: $type:ty),* $(,)?) {
        avx2 => $second:expr, portable => $last:expr $(,)?
    }) => {
        $(#[$meta])*
        $vis fn $name<const $size: usize>($($arg: $type),*) {
            by_level!(@version avx2 [<const $size: usize>] [::<$size>] ($($arg: $type),*) ($($arg),*) $second);
            $last
        }
    };
    ($(#[$meta:meta])* $vis:vis fn $name:ident ($($arg:ident: $type:ty),* $(,)?) {
        avx2 => $second:expr, portable => $last:expr $(,)?
    }) => {
        $(#[$meta])*
        $vis fn $name($($arg: $type),*) {
            by_level!(@version avx2 [] [] ($($arg: $type),*) ($($arg),*) $second);
            $last
        }
    };
    ($(#[$meta:meta])* $vis:vis fn $name:ident ($($arg:ident: $type:ty),* $(,)?) $(-> $out:ty)? $body:block) => {
        $(#[$meta])*
        $vis fn $name($($arg: $type),*) $(-> $out)? {
            #[inline(always)]
            fn body($($arg: $type),*) $(-> $out)? $body
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx2,fma,f16c")]
                fn avx512($($arg: $type),*) $(-> $out)? { body($($arg),*) }
                #[target_feature(enable = "avx2,fma,f16c")]
                fn avx2($($arg: $type),*) $(-> $out)? { body($($arg),*) }
                if $crate::model::compute::level::level() >= $crate::model::compute::level::Level::Avx512 {
                    // SAFETY: a level is never above the processor's.
                    #[allow(unsafe_code)]
                    return unsafe { avx512($($arg),*) };
                }
                if $crate::model::compute::level::level() >= $crate::model::compute::level::Level::Avx2 {
                    // SAFETY: a level is never above the processor's.
                    #[allow(unsafe_code)]
                    return unsafe { avx2($($arg),*) };
                }
            }
            body($($arg),*)
        }
    };
    (@version vnni $($rest:tt)*) => {
        by_level!(@guarded "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma,f16c",
            $crate::model::compute::level::has_vnni(), $($rest)*);
    };
    (@version avx512 $($rest:tt)*) => {
        by_level!(@guarded "avx512f,avx512bw,avx512vl,avx2,fma,f16c",
            $crate::model::compute::level::level() >= $crate::model::compute::level::Level::Avx512, $($rest)*);
    };
    (@version avxvnni $($rest:tt)*) => {
        by_level!(@guarded "avxvnni,avx2,fma,f16c",
            $crate::model::compute::level::level() == $crate::model::compute::level::Level::AvxVnni, $($rest)*);
    };
    (@version avx2 $($rest:tt)*) => {
        by_level!(@guarded "avx2,fma,f16c",
            $crate::model::compute::level::level() >= $crate::model::compute::level::Level::Avx2, $($rest)*);
    };
    (@guarded $features:literal, $guard:expr,
        [$($generics:tt)*] [$($call:tt)*] ($($args:tt)*) ($($names:tt)*) $body:expr) => {
        #[cfg(target_arch = "x86_64")]
        {
            #[target_feature(enable = $features)]
            fn version $($generics)* ($($args)*) { $body }
            if $guard {
                // SAFETY: the guard checks for these features, and a level is never above the processor's.
                #[allow(unsafe_code)]
                return unsafe { version $($call)* ($($names)*) };
            }
        }
    };
}
pub(in crate::model) use by_level;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_have_names_and_nothing_else_has() {
        for level in Level::ALL {
            assert_eq!(Level::named(level.name()), Ok(level));
        }
        assert!(Level::named("sse9").unwrap_err().contains("baseline, avx2, avxvnni, avx512"));
        assert!(Level::of_processor().any(|here| here == level()));
        assert_eq!(Level::Baseline.or_lower(), Level::Baseline);
        let avx2 = Level::of_processor().any(|here| here == Level::Avx2);
        // What a processor with AVX-512 and without AVX-VNNI does.
        let lower = Level::AvxVnni.or_lower();
        assert!(lower == Level::AvxVnni || (lower == Level::Avx2) == avx2, "{lower:?}");
    }
}
