//! Models that have a short name: where they are, what they cost, and how good they are known to be.
//!
//! Revisions, sizes and checksums are those that several projects published which pin the same files; none of the
//! models could be downloaded where snapseek was written.

/// The sizes of a vision tower, from which its cost follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VisionSizes {
    /// A vision transformer.
    Vit {
        /// Edge of a patch, in pixels.
        patch: usize,
        /// Numbers of a state.
        hidden: usize,
        /// How many layers there are.
        layers: usize,
        /// Numbers inside an MLP.
        intermediate: usize,
    },
    /// FastViT.
    FastVit {
        /// Numbers of a state in the first stage; each stage has twice as many as the one before.
        channels: usize,
        /// How many blocks each stage has, the last with attention.
        blocks: [usize; 4],
    },
}

/// A model that embeds texts and pictures, on Hugging Face.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Preset {
    /// Its name on the command line.
    pub name: &'static str,
    /// Its repository.
    pub repo: &'static str,
    /// The commit that is downloaded.
    pub revision: &'static str,
    /// Licence of the weights, according to their model card.
    pub licence: &'static str,
    /// Size of the download, in bytes.
    pub bytes: u64,
    /// Edge of the square that it sees, in pixels.
    pub pixels: u32,
    /// Numbers in an embedding.
    pub dim: usize,
    /// The sizes of the vision tower.
    pub vision: VisionSizes,
    /// The mean of recall@1, @5 and @10 on Crossmodal-3600 in English, in percent, as Immich publishes it
    /// (<https://docs.immich.app/features/searching>).
    pub recall: Option<f32>,
    /// SHA-256 of files that is known.
    pub checksums: &'static [(&'static str, &'static str)],
}

/// All of them; the first is the one that `clip` means and that is offered first.
pub const PRESETS: [Preset; 7] = [
    Preset {
        name: "clip",
        repo: "openai/clip-vit-base-patch32",
        // Its weights are safetensors; on the main branch they are a pickle, which can run code.
        revision: "c237dc49a33fc61debc9276459120b7eac67e7ef",
        licence: "MIT",
        bytes: 607_400_000,
        pixels: 224,
        dim: 512,
        vision: VisionSizes::Vit { patch: 32, hidden: 768, layers: 12, intermediate: 3072 },
        recall: Some(59.4),
        checksums: &[
            ("model.safetensors", "99d28a652e6ec46629ab7047a0ac82c69b1fe11e0ce672c43af65d3a9a3fc05d"),
            ("tokenizer.json", "b556ac8c99757ffb677208af34bc8c6721572114111a6e0aaf5fa69ff0b8d842"),
        ],
    },
    Preset {
        name: "openclip-b32",
        repo: "laion/CLIP-ViT-B-32-laion2B-s34B-b79K",
        revision: "1a25a446712ba5ee05982a381eed697ef9b435cf",
        licence: "MIT",
        bytes: 607_400_000,
        pixels: 224,
        dim: 512,
        vision: VisionSizes::Vit { patch: 32, hidden: 768, layers: 12, intermediate: 3072 },
        recall: Some(68.8),
        checksums: &[(
            "open_clip_model.safetensors",
            "ac4f8c4b88af6d963118cbf40ad93176d092abbedfcb752601ae1866352656e6",
        )],
    },
    Preset {
        name: "siglip2-b32-256",
        repo: "google/siglip2-base-patch32-256",
        revision: "94dffa8cb1179de3e03f091dbc3917e5d5a9ae84",
        licence: "Apache-2.0",
        bytes: 1_541_900_000,
        pixels: 256,
        dim: 768,
        vision: VisionSizes::Vit { patch: 32, hidden: 768, layers: 12, intermediate: 3072 },
        recall: Some(73.2),
        checksums: &[("model.safetensors", "7d241bb3becad218f211f480487f491df4f8c0a472ecf7afdec5615815a301f1")],
    },
    Preset {
        name: "siglip2-b16",
        repo: "google/siglip2-base-patch16-224",
        revision: "75de2d55ec2d0b4efc50b3e9ad70dba96a7b2fa2",
        licence: "Apache-2.0",
        bytes: 1_535_200_000,
        pixels: 224,
        dim: 768,
        vision: VisionSizes::Vit { patch: 16, hidden: 768, layers: 12, intermediate: 3072 },
        recall: Some(75.2),
        checksums: &[
            ("model.safetensors", "612923381c76ec5a9bed335d1c48827e3f2e506ac31b044b63b2031fadee6a0b"),
            ("tokenizer.json", "cb9140fae3ac5122c972d37adf83e1248471a38147ad76f8215c8872c6fd8322"),
        ],
    },
    Preset {
        name: "siglip2-so400m",
        repo: "google/siglip2-so400m-patch14-384",
        revision: "e8e487298228002f3d8a82e0cd5c8ea9c567f57f",
        licence: "Apache-2.0",
        bytes: 4_580_000_000,
        pixels: 384,
        dim: 1152,
        vision: VisionSizes::Vit { patch: 14, hidden: 1152, layers: 27, intermediate: 4304 },
        recall: None,
        checksums: &[],
    },
    Preset {
        name: "mobileclip2-s2",
        repo: "timm/MobileCLIP2-S2-OpenCLIP",
        // No revision is known that others use.
        revision: "main",
        licence: "Apple, research",
        bytes: 397_900_000,
        pixels: 256,
        dim: 512,
        vision: VisionSizes::FastVit { channels: 80, blocks: [4, 12, 24, 4] },
        recall: None,
        checksums: &[],
    },
    Preset {
        name: "clip-l14",
        repo: "openai/clip-vit-large-patch14",
        revision: "32bd64288804d66eefd0ccbe215aa642df71cc41",
        licence: "MIT",
        bytes: 1_712_800_000,
        pixels: 224,
        dim: 768,
        vision: VisionSizes::Vit { patch: 14, hidden: 1024, layers: 24, intermediate: 4096 },
        recall: None,
        checksums: &[("model.safetensors", "a2bf730a0c7debf160f7a6b50b3aaf3703e7e88ac73de7a314903141db026dcb")],
    },
];

/// A model that writes captions and answers, on Hugging Face.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ChatPreset {
    /// Its name on the command line.
    pub name: &'static str,
    /// Its repository.
    pub repo: &'static str,
    /// The commit that is downloaded.
    pub revision: &'static str,
    /// Licence of the weights, according to their model card.
    pub licence: &'static str,
    /// Size of the download, in bytes, as far as known.
    pub bytes: u64,
    /// What it is good for.
    pub about: &'static str,
    /// SHA-256 of files that is known.
    pub checksums: &'static [(&'static str, &'static str)],
}

/// All of them, the one that is preferred first. No revision of the newer ones is known to be the one that others use:
/// they are taken from the main branch, and what was downloaded is verified by the hub's checksums.
pub const CHAT_PRESETS: [ChatPreset; 6] = [
    ChatPreset {
        name: "smolvlm",
        repo: "HuggingFaceTB/SmolVLM-500M-Instruct",
        revision: "main",
        licence: "Apache-2.0",
        bytes: 1_015_000_000,
        about: "describes photos and answers questions on a laptop",
        checksums: &[],
    },
    ChatPreset {
        name: "smolvlm-256m",
        repo: "HuggingFaceTB/SmolVLM-256M-Instruct",
        revision: "main",
        licence: "Apache-2.0",
        bytes: 513_000_000,
        about: "the same in half the memory, less well",
        checksums: &[],
    },
    ChatPreset {
        name: "qwen3-vl-2b",
        repo: "Qwen/Qwen3-VL-2B-Instruct",
        revision: "main",
        licence: "Apache-2.0",
        bytes: 4_255_000_000,
        about: "more languages, better answers, slower",
        checksums: &[],
    },
    ChatPreset {
        name: "llava",
        repo: "llava-hf/llava-1.5-7b-hf",
        revision: "main",
        licence: "Llama 2",
        bytes: 14_127_000_000,
        about: "long descriptions; needs much memory unless quantized",
        checksums: &[],
    },
    ChatPreset {
        name: "idefics2",
        repo: "HuggingFaceM4/idefics2-8b",
        revision: "main",
        licence: "Apache-2.0",
        bytes: 33_600_000_000,
        about: "reads text in photos; needs much memory unless quantized",
        checksums: &[],
    },
    ChatPreset {
        name: "blip2",
        repo: "Salesforce/blip2-opt-2.7b",
        // Two shards of safetensors, 14,979,207,136 bytes.
        revision: "59a1ef6c1e5117b3f65523d1c6066825bcf315e3",
        licence: "MIT",
        bytes: 14_979_207_136,
        about: "captions of a few words, short answers",
        checksums: &[
            ("model-00001-of-00002.safetensors", "b81228c9ac1b3dee1731ee71d51fe3b2c34f915019c44c25a793b51300ae24fc"),
            ("model-00002-of-00002.safetensors", "536bd73b8f1de7d94f503b23fea2eaa4f7f3ea5f74f8f874fcb21d6df1555a19"),
        ],
    },
];

/// The preset of this repository, or of this short name, that writes captions and answers.
#[must_use]
pub fn chat_preset(name: &str) -> Option<&'static ChatPreset> {
    CHAT_PRESETS.iter().find(|preset| preset.repo == name || preset.name == name)
}

/// The short name and the repository of the BLIP-2 that compares photos with texts.
pub const BLIP2_ITM: (&str, &str) = ("blip2-itm", "Salesforce/blip2-itm-vit-g");
/// Models with a short name that embed no photos, with their repositories: one compares photos with texts, one reads
/// texts in 50 languages in the place of `clip`. No revision of them is known to be the one that others use, so they
/// are taken from the main branch.
pub const HELPERS: [(&str, &str); 2] =
    [BLIP2_ITM, ("clip-multilingual", "sentence-transformers/clip-ViT-B-32-multilingual-v1")];

/// The preset of this repository, or of this short name.
#[must_use]
pub fn preset(name: &str) -> Option<&'static Preset> {
    PRESETS.iter().find(|preset| preset.repo == name || preset.name == name)
}
