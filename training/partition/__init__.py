"""PARTITION: where an abnormality may lie - organ masks, report labels with locations, allowed regions."""
