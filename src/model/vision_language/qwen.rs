//! Qwen3-VL's vision tower (`Qwen3VLVisionModel`): patches of a picture of any shape, positions both learned and
//! rotary, blocks of states joined by mergers, of which some look at the layers in between ("deepstack").

use super::config::TowerConfig;
use super::pictures::PicturePart;
use crate::model::compute::attention::{Columns, Heads, attention};
use crate::model::compute::awake::awake;
use crate::model::compute::layers::{Linear, Norm};
use crate::model::compute::matrix::Matrix;
use crate::model::compute::ops::{self, Activation};
use crate::model::compute::weights::Weights;
use crate::model::generation::decoder::GoOn;

/// The base of the rotary positions.
const THETA: f32 = 10000.0;

pub(super) struct QwenTower {
    config: TowerConfig,
    merge: usize,
    frames: usize,
    patch: Linear,
    positions: Matrix,
    blocks: Vec<QwenBlock>,
    merger: Merger,
    /// After which block, and what joins its states.
    deepstack: Vec<(usize, Merger)>,
}

struct QwenBlock {
    norm1: Norm,
    qkv: Linear,
    projection: Linear,
    norm2: Norm,
    fc1: Linear,
    fc2: Linear,
}

/// Joins blocks of states, which are normalised before or after they are joined.
struct Merger {
    norm: Norm,
    fc1: Linear,
    fc2: Linear,
}

impl Merger {
    fn load(
        weights: &Weights,
        name: &str,
        (hidden, joined, width): (usize, usize, usize),
        eps: f32,
        norm_after: bool,
    ) -> anyhow::Result<Self> {
        let part = |part: &str| format!("{name}.{part}");
        Ok(Self {
            norm: Norm::load(weights, &part("norm"), if norm_after { joined } else { hidden }, eps)?,
            fc1: Linear::load(weights, &part("linear_fc1"), joined, joined, true)?,
            fc2: Linear::load(weights, &part("linear_fc2"), joined, width, true)?,
        })
    }

    /// States of which those of a block stand together, to one row for each block.
    fn forward(&self, states: &[f32]) -> Vec<f32> {
        let inner = self.fc1.forward(&self.norm.forward(states), Activation::Gelu);
        self.fc2.forward(&inner, Activation::None)
    }
}

impl QwenTower {
    /// Loads the tower whose tensors' names begin with `prefix`; its rows have `width` numbers.
    pub(super) fn load(
        weights: &Weights,
        config: &TowerConfig,
        prefix: &str,
        width: usize,
        (deepstack, merge, frames): (&[usize], usize, usize),
    ) -> anyhow::Result<Self> {
        let TowerConfig { hidden, intermediate, patch, side, eps, .. } = *config;
        let name = |part: &str| format!("{prefix}{part}");
        let kernel = weights.matrix(&name("patch_embed.proj.weight"), &[hidden, 3, frames, patch, patch])?;
        let bias = weights.vector(&name("patch_embed.proj.bias"), &[hidden])?;
        let block = |n: usize| {
            let name = |part: &str| name(&format!("blocks.{n}.{part}"));
            anyhow::Ok(QwenBlock {
                norm1: Norm::load(weights, &name("norm1"), hidden, eps)?,
                qkv: Linear::load(weights, &name("attn.qkv"), hidden, 3 * hidden, true)?,
                projection: Linear::load(weights, &name("attn.proj"), hidden, hidden, true)?,
                norm2: Norm::load(weights, &name("norm2"), hidden, eps)?,
                fc1: Linear::load(weights, &name("mlp.linear_fc1"), hidden, intermediate, true)?,
                fc2: Linear::load(weights, &name("mlp.linear_fc2"), intermediate, hidden, true)?,
            })
        };
        let sizes = (hidden, hidden * merge * merge, width);
        let deep = |(n, after): (usize, &usize)| {
            let name = name(&format!("deepstack_merger_list.{n}"));
            anyhow::Ok((*after, Merger::load(weights, &name, sizes, eps, true)?))
        };
        Ok(Self {
            merge,
            frames,
            patch: Linear::new(kernel, Some(bias)),
            positions: weights.matrix(&name("pos_embed.weight"), &[side * side, hidden])?,
            blocks: (0..config.layers).map(block).collect::<anyhow::Result<_>>()?,
            merger: Merger::load(weights, &name("merger"), sizes, eps, false)?,
            deepstack: deepstack.iter().enumerate().map(deep).collect::<anyhow::Result<_>>()?,
            config: config.clone(),
        })
    }

    /// What is seen in a picture: rows for the language model, then those that are added after each of its first
    /// layers, one after another; `None` if `go_on` stopped it between two layers.
    pub(super) fn forward(&self, picture: &PicturePart, go_on: GoOn) -> Option<Vec<f32>> {
        awake(|| self.run(picture, go_on))
    }

    fn run(&self, picture: &PicturePart, go_on: GoOn) -> Option<Vec<f32>> {
        let TowerConfig { hidden, heads, activation, patch, .. } = self.config;
        let (columns, rows) = (picture.width / patch, picture.height / patch);
        let places = self.places(columns, rows);
        let mut x = self.patch.forward(&self.patches(picture, &places), Activation::None);
        self.add_positions(&mut x, &places, (columns, rows));
        let turns = self.turns(&places);
        let head = hidden / heads;
        let mut deep = vec![Vec::new(); self.deepstack.len()];
        for (n, block) in self.blocks.iter().enumerate() {
            if !go_on() {
                return None;
            }
            let mut qkv = block.qkv.forward(&block.norm1.forward(&x), Activation::None);
            for (row, (cosines, sines)) in qkv.chunks_exact_mut(3 * hidden).zip(&turns) {
                ops::rotate_halves(&mut row[..2 * hidden], cosines, sines);
            }
            let part = |n: usize| Columns { rows: &qkv, width: 3 * hidden, first: n * hidden };
            block.projection.add_to(&mut x, &attention(part(0), part(1), part(2), Heads::new(heads, head)));
            let inner = block.fc1.forward(&block.norm2.forward(&x), activation);
            block.fc2.add_to(&mut x, &inner);
            for (made, (_, merger)) in deep.iter_mut().zip(&self.deepstack).filter(|(_, (after, _))| *after == n) {
                *made = merger.forward(&x);
            }
        }
        let mut seen = self.merger.forward(&x);
        deep.into_iter().for_each(|made| seen.extend(made));
        Some(seen)
    }

    /// The row and column of each patch, in the order in which blocks that are joined stand together.
    fn places(&self, columns: usize, rows: usize) -> Vec<(usize, usize)> {
        let merge = self.merge;
        let blocks = (0..rows / merge).flat_map(|y| (0..columns / merge).map(move |x| (y * merge, x * merge)));
        blocks.flat_map(|(y, x)| (0..merge * merge).map(move |n| (y + n / merge, x + n % merge))).collect()
    }

    /// The pixels of each patch in a row, a still picture once for each frame: (patches, 3 * frames * patch * patch).
    fn patches(&self, picture: &PicturePart, places: &[(usize, usize)]) -> Vec<f32> {
        let patch = self.config.patch;
        let mut out = Vec::with_capacity(places.len() * 3 * self.frames * patch * patch);
        for (row, column) in places {
            for plane in picture.pixels.chunks_exact(picture.width * picture.height) {
                for _ in 0..self.frames {
                    for line in plane.chunks_exact(picture.width).skip(row * patch).take(patch) {
                        out.extend_from_slice(&line[column * patch..(column + 1) * patch]);
                    }
                }
            }
        }
        out
    }

    /// Adds the learned positions, which are a square table, stretched to the picture's shape (bilinear).
    fn add_positions(&self, x: &mut [f32], places: &[(usize, usize)], (columns, rows): (usize, usize)) {
        let side = self.config.side;
        let last = side - 1;
        let (of_rows, of_columns) = (spread(last, rows), spread(last, columns));
        let mut position = vec![0.0; self.config.hidden];
        for (x, (row, column)) in x.chunks_exact_mut(self.config.hidden).zip(places) {
            let (y, z) = (of_rows[*row], of_columns[*column]);
            let (top, left) = (y as usize, z as usize);
            let (down, right) = (y - top as f32, z - left as f32);
            for (line, across, weight) in [
                (top, left, (1.0 - down) * (1.0 - right)),
                (top, left + 1, (1.0 - down) * right),
                (top + 1, left, down * (1.0 - right)),
                (top + 1, left + 1, down * right),
            ] {
                self.positions.widen_row(line.min(last) * side + across.min(last), &mut position);
                ops::add_scaled(x, weight, &position);
            }
        }
    }

    /// The cosines and sines of each patch: half of a head's angles tell its row, half its column.
    fn turns(&self, places: &[(usize, usize)]) -> Vec<(Vec<f32>, Vec<f32>)> {
        let head = self.config.hidden / self.config.heads;
        let half = head / 4;
        let angles: Vec<f32> = (0..half).map(|n| 1.0 / THETA.powf(2.0 * n as f32 / (head / 2) as f32)).collect();
        let turn = |(row, column): &(usize, usize)| {
            let of = |place: usize| angles.iter().map(move |angle| place as f32 * angle);
            let all: Vec<f32> = of(*row).chain(of(*column)).collect();
            (all.iter().map(|angle| angle.cos()).collect(), all.iter().map(|angle| angle.sin()).collect())
        };
        places.iter().map(turn).collect()
    }
}

/// `count` numbers from 0 to `last` at equal distances, as torch.linspace computes them.
fn spread(last: usize, count: usize) -> Vec<f32> {
    if count < 2 {
        return vec![0.0; count];
    }
    let (end, step) = (last as f32, last as f32 / (count - 1) as f32);
    let at = |n: usize| if n < count / 2 { step * n as f32 } else { end - step * (count - n - 1) as f32 };
    (0..count).map(at).collect()
}
