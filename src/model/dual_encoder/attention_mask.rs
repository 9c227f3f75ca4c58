//! Which tokens see each other, and what they find by attention.

use super::prefix_tree::PrefixTree;
use crate::model::compute::attention::{Columns, Heads, attention_to};
use crate::model::compute::linear::product;
use crate::model::compute::ops::contiguous;
use candle_core::{CpuStorage, CustomOp1, Device, Layout, Shape, Tensor};
use candle_nn::ops::softmax_last_dim;
use rayon::prelude::*;

/// What each token sees.
pub(super) enum AttentionMask<'t> {
    /// All of its picture or text, of which there are so many, of one length.
    All(usize),
    /// The same, but what this adds to the scores hides some, (tokens, tokens); on a GPU.
    Masked(usize, Tensor),
    /// What stands before it in a tree of texts, and itself; on the processor.
    Tree(&'t PrefixTree),
}

/// Attention of some heads on the processor: (tokens, 3 * numbers of the heads), with scaled queries first, then keys
/// and values, give (tokens, numbers of the heads).
pub(super) type RowAttention<'t> = Box<dyn Fn(&[f32], Heads, &mut [f32]) + Sync + 't>;

impl AttentionMask<'_> {
    /// Hides from each token of so many texts, of so many tokens each, those after it.
    pub(super) fn causal(texts: usize, tokens: usize, device: &Device) -> candle_core::Result<Self> {
        let later = |at: usize| if at % tokens > at / tokens { f32::NEG_INFINITY } else { 0.0 };
        let mask = Tensor::from_iter((0..tokens * tokens).map(later), device)?;
        Ok(Self::Masked(texts, mask.reshape((tokens, tokens))?))
    }

    /// What each token finds: (tokens, 3 * hidden), with scaled queries first, then keys and values, give (tokens,
    /// hidden).
    pub(super) fn attend(&self, qkv: &Tensor, heads: usize) -> candle_core::Result<Tensor> {
        if let Some(attend) = self.of_rows().filter(|_| qkv.device().is_cpu()) {
            return qkv.contiguous()?.apply_op1_no_bwd(&AttendRows { attend, heads });
        }
        match self {
            Self::All(batch) => attend_by_candle(qkv, *batch, heads, None),
            Self::Masked(batch, mask) => attend_by_candle(qkv, *batch, heads, Some(mask)),
            Self::Tree(_) => candle_core::bail!("attention in a tree of texts is for the processor"),
        }
    }

    /// The same on the processor.
    pub(super) fn of_rows(&self) -> Option<RowAttention<'_>> {
        match self {
            Self::All(batch) => Some(Box::new(|qkv, heads, out| attend_in_batch(qkv, *batch, heads, out))),
            Self::Masked(..) => None,
            Self::Tree(tree) => Some(Box::new(|qkv, heads, out| tree.attend(qkv, heads, out))),
        }
    }
}

/// [`RowAttention`] in each of so many pictures or texts.
fn attend_in_batch(qkv: &[f32], batch: usize, heads: Heads, out: &mut [f32]) {
    let all = heads.count * heads.size;
    let (of_one, found) = (qkv.len() / batch, out.len() / batch);
    qkv.par_chunks_exact(of_one).zip(out.par_chunks_exact_mut(found)).for_each(|(rows, out)| {
        let part = |n: usize| Columns { rows, width: 3 * all, first: n * all };
        attention_to(out, part(0), part(1), part(2), heads);
    });
}

struct AttendRows<'t> {
    attend: RowAttention<'t>,
    heads: usize,
}

impl CustomOp1 for AttendRows<'_> {
    fn name(&self) -> &'static str {
        "attend"
    }

    fn cpu_fwd(&self, qkv: &CpuStorage, layout: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let (rows, width) = layout.shape().dims2()?;
        let hidden = width / 3;
        if self.heads == 0 || hidden == 0 || width % (3 * self.heads) != 0 {
            candle_core::bail!("attention of {} heads to {rows} x {width} numbers", self.heads);
        }
        let mut out = vec![0.0; rows * hidden];
        let heads = Heads { count: self.heads, size: hidden / self.heads, scale: 1.0 };
        (self.attend)(contiguous(qkv, layout)?, heads, &mut out);
        Ok((CpuStorage::F32(out), Shape::from((rows, hidden))))
    }
}

/// [`AttentionMask::attend`] on any device; `mask`, (tokens, tokens), is added to the scores.
fn attend_by_candle(qkv: &Tensor, batch: usize, heads: usize, mask: Option<&Tensor>) -> candle_core::Result<Tensor> {
    let (rows, columns) = qkv.dims2()?;
    let (tokens, hidden) = (rows / batch, columns / 3);
    let qkv = qkv.reshape((batch, tokens, 3, heads, hidden / heads))?.permute((2, 0, 3, 1, 4))?.contiguous()?;
    let (query, key, value) = (qkv.get(0)?, qkv.get(1)?, qkv.get(2)?);
    let scores = product(&query, &key)?;
    let scores = mask.map_or(Ok(scores.clone()), |mask| scores.broadcast_add(mask))?;
    let attended = product(&softmax_last_dim(&scores)?, &value.transpose(2, 3)?)?;
    attended.transpose(1, 2)?.reshape((rows, hidden))
}
