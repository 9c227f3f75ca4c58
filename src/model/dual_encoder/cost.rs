//! What a vision tower costs on this machine, without its weights.

use super::attention_mask::AttentionMask;
use super::config::TowerSizes;
use super::eight_bits::TowerBits;
use super::fastvit::FastVit;
use super::tower::{EncodePictures, EncoderLayer, LayerRoom};
use crate::model::compute::ops::Activation;
use crate::model::hub::presets::{Preset, VisionSizes};
use candle_core::{Device, Tensor};
use std::time::Instant;

/// About as many rows are computed at once as in an indexing run, where several photos share each weight that is read.
const ROWS: usize = 400;
/// What takes longer than this, in seconds, is not run again.
const LONG: f64 = 0.1;

/// Seconds of one thread for the embedding of one photo, without decoding it, with made-up weights: of a vision
/// transformer, one layer is run, and the others cost the same.
///
/// # Errors
/// Memory runs out.
pub fn seconds_per_photo(preset: &Preset) -> anyhow::Result<f64> {
    let (patch, hidden, layers, intermediate) = match preset.vision {
        VisionSizes::Vit { patch, hidden, layers, intermediate } => (patch, hidden, layers, intermediate),
        VisionSizes::FastVit { channels, blocks } => {
            let tower = FastVit::made_up(channels, blocks, preset.dim)?;
            let edge = preset.pixels as usize;
            let pixels = Tensor::full(0.5_f32, (1, 3, edge, edge), &Device::Cpu)?;
            return best_of(&|| tower.forward(&pixels).map(drop));
        }
    };
    let tokens = (preset.pixels as usize / patch).pow(2) + 1;
    let sizes =
        TowerSizes { hidden, intermediate, layers, heads: hidden / 64, activation: Activation::GeluTanh, eps: 1e-6 };
    let layer = EncoderLayer::made_up(&sizes, TowerBits::Fastest)?;
    let batch = (ROWS / tokens).clamp(1, 8);
    let x = Tensor::full(0.1_f32, (batch * tokens, hidden), &Device::Cpu)?;
    let mask = AttentionMask::All(batch);
    let of_layer = best_of(&|| layer.apply(x.copy()?, &mask, None, &mut LayerRoom::default()).map(drop))?;
    Ok(of_layer * layers as f64 / batch as f64)
}

/// Seconds that some work takes on one thread, at best.
fn best_of(work: &(dyn Fn() -> candle_core::Result<()> + Sync)) -> anyhow::Result<f64> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build()?;
    let run = || -> candle_core::Result<f64> {
        let start = Instant::now();
        work()?;
        Ok(start.elapsed().as_secs_f64())
    };
    pool.install(|| {
        let mut best = run()?;
        for _ in 0..4 {
            if best < LONG {
                best = best.min(run()?);
            }
        }
        Ok(best)
    })
}
