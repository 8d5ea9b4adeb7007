"""The paper's network on a processor: row strips, packed weights, Winograd; proved equal to plain torch."""
