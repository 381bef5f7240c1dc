//! An image for several platforms as an OCI layout, which registries take as it is.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{
    Image,
    archive::{self, Config},
    buildah::Store,
    context,
    engine::Build,
};
use crate::{
    process::{Log, Stop},
    program::{Platform, Source},
};

/// What goes into the image of a platform.
pub(crate) struct Part {
    /// Where it runs.
    pub(crate) platform: Platform,
    /// Its program.
    pub(crate) binary: PathBuf,
    /// The SBOM.
    pub(crate) components: PathBuf,
}

/// An image that can be published.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Layout {
    /// Digest of the list of images: what a tag means.
    pub(crate) digest: String,
    /// The images on the list.
    pub(crate) platforms: Vec<OfPlatform>,
}

/// An image for one platform.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct OfPlatform {
    /// `amd64` or `arm64`.
    pub(crate) architecture: String,
    /// Its digest.
    pub(crate) digest: String,
}

const LIST: &str = "application/vnd.oci.image.index.v1+json";

/// `index.json`, and a list of images.
#[derive(Debug, Deserialize)]
struct Index {
    manifests: Vec<Descriptor>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    #[serde(default)]
    media_type: String,
    digest: String,
    platform: Option<Architecture>,
}

#[derive(Debug, Deserialize)]
struct Architecture {
    architecture: String,
}

#[derive(Debug, Deserialize)]
struct Manifest {
    config: Descriptor,
    layers: Vec<Descriptor>,
}

/// Builds `image` for the platforms of `parts` into `directory`, which must not be there.
///
/// # Errors
/// buildah fails, or what it made is not what registries and runtimes need.
pub(crate) fn publishable(
    image: Image,
    parts: &[Part],
    source: &Source,
    directory: &Path,
    log: &Log,
    stop: &Stop,
) -> anyhow::Result<Layout> {
    let store = Store::new()?;
    let reference = format!("netprecursor/{}:{}", image.name(), source.version);
    for part in parts {
        let context = context(&part.binary, &part.components, source)?;
        let build =
            Build { containerfile: &image.containerfile(), context: context.path(), reference: &reference, source };
        store.add(&build, part.platform, log, stop)?;
    }
    store.layout(&reference, &source.version, directory, log, stop)?;
    let layout = read(directory)?;
    let (got, expected) = (layout.architectures(), parts.iter().map(|part| part.platform.name()).collect::<Vec<_>>());
    if got != expected {
        bail!("{}: got images for {got:?}, expected {expected:?}", directory.display());
    }
    Ok(layout)
}

impl Layout {
    fn architectures(&self) -> Vec<&str> {
        self.platforms.iter().map(|image| image.architecture.as_str()).collect()
    }
}

/// Reads a layout and checks that it is whole.
fn read(directory: &Path) -> anyhow::Result<Layout> {
    let place = || directory.display();
    let index: Index = parsed(&directory.join("index.json"))?;
    let [list] = index.manifests.as_slice() else {
        bail!("{}: got {} entries, expected one list of images", place(), index.manifests.len());
    };
    if list.media_type != LIST {
        bail!("{}: got {}, expected a list of images, {LIST}", place(), list.media_type);
    }
    let images: Index = parsed(&blob(directory, &list.digest)?)?;
    let platforms = images.manifests.into_iter().map(|image| of_platform(directory, image));
    let platforms = platforms.collect::<anyhow::Result<_>>().with_context(|| format!("the images in {}", place()))?;
    Ok(Layout { digest: list.digest.clone(), platforms })
}

fn of_platform(directory: &Path, image: Descriptor) -> anyhow::Result<OfPlatform> {
    let digest = image.digest;
    let architecture = image.platform.with_context(|| format!("{digest}: got no platform, expected one"))?.architecture;
    let manifest: Manifest = parsed(&blob(directory, &digest)?)?;
    let config: Config = parsed(&blob(directory, &manifest.config.digest)?)?;
    if let Some(problem) = archive::problem(&config) {
        bail!("{digest}: {problem}");
    }
    if config.architecture != architecture {
        bail!("{digest}: got a program for {}, expected {architecture} as on the list", config.architecture);
    }
    for layer in &manifest.layers {
        let path = blob(directory, &layer.digest)?;
        fs::metadata(&path).with_context(|| format!("reading {}", path.display()))?;
    }
    Ok(OfPlatform { architecture, digest })
}

fn blob(directory: &Path, digest: &str) -> anyhow::Result<PathBuf> {
    let (algorithm, name) = digest.split_once(':').with_context(|| format!("got the digest {digest:?}"))?;
    Ok(directory.join("blobs").join(algorithm).join(name))
}

fn parsed<T: DeserializeOwned>(path: &Path) -> anyhow::Result<T> {
    let bytes = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    serde_json::from_slice(&bytes).with_context(|| format!("reading {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A layout with one image for arm64, whose program is for `program`.
    fn layout(program: &str) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        let blobs = directory.path().join("blobs/sha256");
        fs::create_dir_all(&blobs).unwrap();
        let list = format!(r#"{{"manifests": [{{"digest": "sha256:list", "mediaType": "{LIST}"}}]}}"#);
        fs::write(directory.path().join("index.json"), list).unwrap();
        let images =
            r#"{"manifests": [{"digest": "sha256:image", "platform": {"architecture": "arm64", "os": "linux"}}]}"#;
        let manifest = r#"{"config": {"digest": "sha256:config"}, "layers": [{"digest": "sha256:layer"}]}"#;
        let config = format!(
            r#"{{"os": "linux", "architecture": "{program}", "config": {{"Entrypoint": ["/a"], "User": "0:0"}}}}"#
        );
        for (name, text) in [("list", images), ("image", manifest), ("config", &config), ("layer", "")] {
            fs::write(blobs.join(name), text).unwrap();
        }
        directory
    }

    #[test]
    fn a_whole_layout_is_known_by_the_digest_of_its_list() {
        let layout = read(layout("arm64").path()).unwrap();
        assert_eq!((layout.digest.as_str(), layout.architectures()), ("sha256:list", vec!["arm64"]));
        assert_eq!(layout.platforms[0].digest, "sha256:image");
    }

    #[test]
    fn an_image_with_another_platforms_program_is_refused() {
        let error = format!("{:#}", read(layout("amd64").path()).unwrap_err());
        assert!(error.contains("got a program for amd64, expected arm64"), "{error}");
    }

    #[test]
    fn a_layer_that_is_not_there_is_noticed() {
        let layout = layout("arm64");
        fs::remove_file(layout.path().join("blobs/sha256/layer")).unwrap();
        assert!(format!("{:#}", read(layout.path()).unwrap_err()).contains("sha256/layer"));
    }
}
