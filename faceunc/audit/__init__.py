"""A quality audit of any folder of photographs: what is poor, why, and who would be refused."""
