"""Report text to the 80 labels with sides: sentences, findings, locations (SARLE; section 12.1, Table 4)."""

from training.partition.reports.context import Status
from training.partition.reports.findings import Finding
from training.partition.reports.labels import LabelEvidence, ReportLabels, label_report
from training.partition.reports.vocabulary import Vocabulary, load_vocabulary

__all__ = ["Finding", "LabelEvidence", "ReportLabels", "Status", "Vocabulary", "label_report", "load_vocabulary"]
