"""Maps and organ masks for other programs: NIfTI, DICOM Segmentation and DICOM Parametric Map.

:mod:`nifti` writes in the CT's own geometry; :mod:`dicom_seg` and :mod:`parametric_map` refer to the source images that
:mod:`source` finds. Nothing here carries patient data unless asked.
"""
