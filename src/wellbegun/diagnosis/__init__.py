"""What is measured at step 0, and what is wrong."""

from wellbegun.diagnosis.diagnose import diagnose
from wellbegun.diagnosis.diagnosis import Diagnosis, plain
from wellbegun.diagnosis.facts import Finding, LayerFacts
from wellbegun.diagnosis.schema import json_schema
from wellbegun.diagnosis.sweep import sweep
from wellbegun.diagnosis.swept import Sweep

__all__ = ["Diagnosis", "Finding", "LayerFacts", "Sweep", "diagnose", "json_schema", "plain", "sweep"]
