//! Where checkpoints keep the tensors of a transformer: under the names of `transformers`, or under OpenCLIP's.

use super::config::Family;
use crate::model::compute::weights::Weights;

/// The names of a tower's tensors.
pub(super) struct TowerNames {
    pub(super) positions: String,
    /// Before the numbers of the layers.
    pub(super) layers: String,
    pub(super) layer: LayerNames,
    /// The norm after the layers.
    pub(super) norm: String,
    pub(super) projection: ProjectionName,
}

/// Of a text tower.
pub(super) struct TextNames {
    pub(super) tokens: String,
    pub(super) tower: TowerNames,
}

/// Of a vision tower.
pub(super) struct VisionNames {
    pub(super) patch: &'static str,
    pub(super) class: &'static str,
    /// The norm before the layers.
    pub(super) pre_norm: &'static str,
    pub(super) tower: TowerNames,
}

/// The names of a layer's parts.
#[derive(Clone, Copy)]
pub(super) struct LayerNames {
    pub(super) norm1: &'static str,
    pub(super) attention: AttentionNames,
    pub(super) out: &'static str,
    pub(super) norm2: &'static str,
    pub(super) fc1: &'static str,
    pub(super) fc2: &'static str,
}

#[derive(Clone, Copy)]
pub(super) enum AttentionNames {
    /// Queries, keys and values each have a linear layer.
    Separate([&'static str; 3]),
    /// One weight and one bias hold all three.
    Joined([&'static str; 2]),
}

/// The layer that maps a state to an embedding.
pub(super) enum ProjectionName {
    /// A matrix of (numbers of an embedding, hidden).
    Rows(&'static str),
    /// A matrix of (hidden, numbers of an embedding).
    Columns(String),
    /// A linear layer with a bias.
    Linear(&'static str),
    /// There is none.
    None,
}

const TRANSFORMERS: LayerNames = LayerNames {
    norm1: "layer_norm1",
    attention: AttentionNames::Separate(["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"]),
    out: "self_attn.out_proj",
    norm2: "layer_norm2",
    fc1: "mlp.fc1",
    fc2: "mlp.fc2",
};
const OPEN_CLIP: LayerNames = LayerNames {
    norm1: "ln_1",
    attention: AttentionNames::Joined(["attn.in_proj_weight", "attn.in_proj_bias"]),
    out: "attn.out_proj",
    norm2: "ln_2",
    fc1: "mlp.c_fc",
    fc2: "mlp.c_proj",
};

impl TextNames {
    pub(super) fn of(family: Family, weights: &Weights) -> Self {
        if matches!(family, Family::OpenClip | Family::MobileClip) {
            // In a CustomTextCLIP, the text tower is a part of its own.
            let prefix = if weights.has("text.token_embedding.weight") { "text." } else { "" };
            let name = |part: &str| format!("{prefix}{part}");
            return Self {
                tokens: name("token_embedding.weight"),
                tower: TowerNames {
                    positions: name("positional_embedding"),
                    layers: name("transformer.resblocks"),
                    layer: OPEN_CLIP,
                    norm: name("ln_final"),
                    projection: ProjectionName::Columns(name("text_projection")),
                },
            };
        }
        let name = |part: &str| format!("text_model.{part}");
        Self {
            tokens: name("embeddings.token_embedding.weight"),
            tower: TowerNames {
                positions: name("embeddings.position_embedding.weight"),
                layers: name("encoder.layers"),
                layer: TRANSFORMERS,
                norm: name("final_layer_norm"),
                projection: match family {
                    Family::Siglip => ProjectionName::Linear("text_model.head"),
                    _ => ProjectionName::Rows("text_projection.weight"),
                },
            },
        }
    }
}

impl VisionNames {
    pub(super) fn of(family: Family) -> Self {
        if family == Family::OpenClip {
            return Self {
                patch: "visual.conv1",
                class: "visual.class_embedding",
                pre_norm: "visual.ln_pre",
                tower: TowerNames {
                    positions: "visual.positional_embedding".into(),
                    layers: "visual.transformer.resblocks".into(),
                    layer: OPEN_CLIP,
                    norm: "visual.ln_post".into(),
                    projection: ProjectionName::Columns("visual.proj".into()),
                },
            };
        }
        Self {
            patch: "vision_model.embeddings.patch_embedding",
            class: "vision_model.embeddings.class_embedding",
            // The name is misspelt in the original, and so in every file.
            pre_norm: "vision_model.pre_layrnorm",
            tower: TowerNames {
                positions: "vision_model.embeddings.position_embedding.weight".into(),
                layers: "vision_model.encoder.layers".into(),
                layer: TRANSFORMERS,
                norm: "vision_model.post_layernorm".into(),
                projection: match family {
                    Family::Siglip => ProjectionName::None,
                    _ => ProjectionName::Rows("visual_projection.weight"),
                },
            },
        }
    }
}
