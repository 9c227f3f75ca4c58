//! What a copy may have lost that its grey look does not show: colour, and the range of its tones.

use crate::photo::picture::RgbPicture;

/// Less colour than this is that of a grey picture, but for rounding.
const GREY: f32 = 0.02;

/// How much colour and contrast a picture has.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Tones {
    /// Mean difference of the strongest and the weakest of red, green and blue, from 0 (grey) to 1.
    pub colour: f32,
    /// Difference of the brightness that a twentieth of the pixels exceeds, and that all but a twentieth exceed, from 0
    /// to 1.
    pub range: f32,
}

impl Tones {
    /// Those of a picture; `grey` are its brightnesses, at any size.
    pub(super) fn of(picture: &RgbPicture, grey: &[u8]) -> Self {
        let pixels = picture.data.as_chunks::<3>().0;
        let chroma = |[red, green, blue]: &[u8; 3]| u64::from(red.max(green).max(blue) - red.min(green).min(blue));
        let colour = pixels.iter().map(chroma).sum::<u64>() as f32 / pixels.len().max(1) as f32 / 255.0;
        let mut counts = [0_usize; 256];
        for value in grey {
            counts[usize::from(*value)] += 1;
        }
        let strays = grey.len() / 20;
        // The first value of this order that more pixels than the strays reach.
        let beyond = |values: &mut dyn Iterator<Item = u8>| {
            let mut seen = 0;
            let mut value = values.skip_while(|value| {
                seen += counts[usize::from(*value)];
                seen <= strays
            });
            value.next().unwrap_or_default()
        };
        let (dark, light) = (beyond(&mut (0..=u8::MAX)), beyond(&mut (0..=u8::MAX).rev()));
        let range = f32::from(light.saturating_sub(dark)) / 255.0;
        Self { colour: if colour < GREY { 0.0 } else { colour }, range }
    }
}
