//! The vision towers CLIP (Radford et al. 2021) and SigLIP (Zhai et al. 2023), as vision-language models use them: the
//! states of all patches, of one layer, for pictures of any size that is a multiple of a patch.
//!
//! The towers of the embedding models are the same networks, but pool their states, and see squares only.

use super::config::TowerConfig;
use crate::model::compute::attention::{Columns, Heads, attention};
use crate::model::compute::awake::awake;
use crate::model::compute::layers::{Linear, Norm};
use crate::model::compute::matrix::{Dtype, Matrix};
use crate::model::compute::ops::{self, Activation};
use crate::model::compute::weights::{TensorPlace, Weights};
use crate::model::generation::decoder::GoOn;

pub(super) struct Tower {
    config: TowerConfig,
    patch: Linear,
    /// CLIP's class token, and the norm before its first layer.
    class: Option<(Vec<f32>, Norm)>,
    positions: Matrix,
    layers: Vec<TowerLayer>,
    /// After the last layer; CLIP's is for its class token, which nothing uses here.
    norm: Option<Norm>,
}

struct TowerLayer {
    norm1: Norm,
    query: Linear,
    key: Linear,
    value: Linear,
    output: Linear,
    norm2: Norm,
    fc1: Linear,
    fc2: Linear,
}

/// Whole patches of a picture, and which positions they have.
pub(super) struct Patches {
    /// (patches, 3 * patch * patch)
    pub(super) pixels: Vec<f32>,
    /// Rows of the table of positions.
    pub(super) positions: Vec<u32>,
}

impl Tower {
    /// Loads the first `layers` layers of the tower whose tensors' names begin with `prefix`; with `is_clip`, a CLIP.
    pub(super) fn load(
        weights: &Weights,
        config: &TowerConfig,
        prefix: &str,
        layers: usize,
        is_clip: bool,
    ) -> anyhow::Result<Self> {
        let TowerConfig { hidden, intermediate, patch, side, eps, .. } = *config;
        let name = |part: &str| format!("{prefix}{part}");
        // Forms in 8 bits fill their blocks by zeros.
        let filled = intermediate.next_multiple_of(Dtype::Q8_0.block().0);
        let is_filled = |place: &TensorPlace| place.shape == [hidden, filled];
        let intermediate = match weights.place(&name("encoder.layers.0.mlp.fc2.weight")) {
            Some(place) if is_filled(place) => filled,
            _ => intermediate,
        };
        let bias = match is_clip {
            true => None,
            false => Some(weights.vector(&name("embeddings.patch_embedding.bias"), &[hidden])?),
        };
        let kernel = weights.matrix(&name("embeddings.patch_embedding.weight"), &[hidden, 3, patch, patch])?;
        let class = match is_clip {
            true => Some((
                weights.vector(&name("embeddings.class_embedding"), &[hidden])?,
                Norm::load(weights, &name("pre_layrnorm"), hidden, eps)?,
            )),
            false => None,
        };
        let layer = |n: usize| {
            let name = |part: &str| name(&format!("encoder.layers.{n}.{part}"));
            let square = |part: &str| Linear::load(weights, &name(part), hidden, hidden, true);
            anyhow::Ok(TowerLayer {
                norm1: Norm::load(weights, &name("layer_norm1"), hidden, eps)?,
                query: square("self_attn.q_proj")?,
                key: square("self_attn.k_proj")?,
                value: square("self_attn.v_proj")?,
                output: square("self_attn.out_proj")?,
                norm2: Norm::load(weights, &name("layer_norm2"), hidden, eps)?,
                fc1: Linear::load(weights, &name("mlp.fc1"), hidden, intermediate, true)?,
                fc2: Linear::load(weights, &name("mlp.fc2"), intermediate, hidden, true)?,
            })
        };
        let positions = [side * side + usize::from(is_clip), hidden];
        Ok(Self {
            patch: Linear::new(kernel, bias),
            class,
            positions: weights.matrix(&name("embeddings.position_embedding.weight"), &positions)?,
            layers: (0..layers).map(layer).collect::<anyhow::Result<_>>()?,
            norm: match is_clip {
                true => None,
                false => Some(Norm::load(weights, &name("post_layernorm"), hidden, eps)?),
            },
            config: config.clone(),
        })
    }

    /// The states of a picture's patches, (patches, hidden); `None` if `go_on` stopped it between two layers.
    pub(super) fn forward(&self, patches: &Patches, go_on: GoOn) -> Option<Vec<f32>> {
        awake(|| self.run(patches, go_on))
    }

    fn run(&self, patches: &Patches, go_on: GoOn) -> Option<Vec<f32>> {
        let TowerConfig { hidden, heads, activation, .. } = self.config;
        let mut x = self.class.as_ref().map_or_else(Vec::new, |(class, _)| class.clone());
        x.extend(self.patch.forward(&patches.pixels, Activation::None));
        // The class token has the first position.
        let of_class = self.class.as_ref().map(|_| 0);
        let offset = usize::from(self.class.is_some());
        let rows = of_class.into_iter().chain(patches.positions.iter().map(|row| *row as usize + offset));
        let mut position = vec![0.0; hidden];
        for (x, row) in x.chunks_exact_mut(hidden).zip(rows) {
            self.positions.widen_row(row, &mut position);
            ops::add_rows(x, &position);
        }
        if let Some((_, norm)) = &self.class {
            norm.apply(&mut x);
        }
        for layer in &self.layers {
            if !go_on() {
                return None;
            }
            let normed = layer.norm1.forward(&x);
            let project = |linear: &Linear| linear.forward(&normed, Activation::None);
            let [queries, keys, values] = [&layer.query, &layer.key, &layer.value].map(project);
            let columns = |rows| Columns { rows, width: hidden, first: 0 };
            let seen =
                attention(columns(&queries), columns(&keys), columns(&values), Heads::new(heads, hidden / heads));
            layer.output.add_to(&mut x, &seen);
            let inner = layer.fc1.forward(&layer.norm2.forward(&x), activation);
            layer.fc2.add_to(&mut x, &inner);
        }
        if let Some(norm) = &self.norm {
            norm.apply(&mut x);
        }
        Some(if self.class.is_some() { x.split_off(hidden) } else { x })
    }
}

/// Cuts a picture, (3, height, width), into patches of which every pixel is there.
pub(super) fn cut(pixels: &[f32], (width, height): (usize, usize), patch: usize) -> Vec<f32> {
    let (columns, rows) = (width / patch, height / patch);
    let mut out = Vec::with_capacity(columns * rows * 3 * patch * patch);
    for (top, left) in (0..rows).flat_map(|y| (0..columns).map(move |x| (y * patch, x * patch))) {
        for plane in pixels.chunks_exact(width * height) {
            for row in plane.chunks_exact(width).skip(top).take(patch) {
                out.extend_from_slice(&row[left..left + patch]);
            }
        }
    }
    out
}

/// The positions of `columns` x `rows` patches in a table of `side` x `side`: patches of a smaller picture take those
/// at the same share of its width and height. Source: `Idefics2VisionEmbeddings` of transformers 5, which computes
/// shares in f32; so a few of them are one less than whole numbers would give.
pub(super) fn spread_positions(columns: usize, rows: usize, side: usize) -> Vec<u32> {
    let place = |n: usize, of: usize| {
        let share = (n as f32 * (1.0 / of as f32)).min(1.0 - 1e-6);
        (1..side).filter(|bound| (*bound as f64 / side as f64) as f32 <= share).count()
    };
    let of_columns: Vec<usize> = (0..columns).map(|n| place(n, columns)).collect();
    let each = (0..rows).flat_map(|row| {
        let first = place(row, rows) * side;
        of_columns.iter().map(move |column| (first + column) as u32)
    });
    each.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_pictures_have_all_positions_in_order() {
        for side in [7, 8, 32, 70] {
            let all = spread_positions(side, side, side);
            // The reference's f32 loses some where a share is a whole number of places.
            assert!(all.iter().zip(0..).all(|(found, place)| found.abs_diff(place) <= side as u32 + 1), "{side}");
            assert_eq!(all[0], 0);
        }
        assert_eq!(spread_positions(3, 1, 7), [0, 2, 4]);
    }

    /// What make_vlm.py's README says of the real table, with 70 places: those numbers of patches, and no others,
    /// differ from the whole-number rule.
    #[test]
    fn a_few_positions_are_those_of_f32() {
        let differs = |of: usize| {
            let found = spread_positions(of, 1, 70);
            found.iter().zip(0..).any(|(found, n): (&u32, usize)| *found as usize != 70 * n / of)
        };
        assert_eq!((1..=70).filter(|of| differs(*of)).collect::<Vec<_>>(), [25, 49, 50, 55]);
    }

    #[test]
    fn incomplete_patches_are_left_out() {
        let pixels: Vec<f32> = (0..3 * 5 * 4).map(|n| n as f32).collect();
        let cut = cut(&pixels, (5, 4), 2);
        assert_eq!(cut.len(), 2 * 2 * 3 * 4);
        assert_eq!(cut[..6], [0.0, 1.0, 5.0, 6.0, 20.0, 21.0]);
        assert_eq!(cut[12..14], [2.0, 3.0]);
    }
}
