"""Protocol + photographs + backbone + cross-fitted heads -> figures: what ``faceunc eval`` runs."""
