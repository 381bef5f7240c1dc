//! Plain data shared between the BPF programs and the agent.
