//! A Docker daemon and a node image of our own, for machines where no Docker answers or no registry can be reached. The
//! ordinary path is the machine's Docker with kind's own node image, which needs nothing of this.

pub(super) mod node;
pub(super) mod sandbox;
