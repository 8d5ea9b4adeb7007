"""The paper's network and those that came after it, side by side, at equal cost."""
