"""What docs/your-data.md says of layouts is what is read from pictures in each of them.

`EDGE_MELANOMA_WRITE_DOCS=1 pytest tests/data/test_your_data.py` writes its tables anew.
"""

import os
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from PIL import Image

from edge_melanoma.data.labels import Reading
from edge_melanoma.data.lesions import LesionRecord, count_classes
from edge_melanoma.data.listing import read_lesions
from edge_melanoma.errors import EdgeMelanomaError

DOCS = Path(__file__).parents[2] / "docs" / "your-data.md"
WRITE = "EDGE_MELANOMA_WRITE_DOCS"

Builder = Callable[[Path], None]


def draw(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (len(name) % 256, sum(name.encode()) % 256, 90)).save(path)


def write(path: Path, *lines: str, end: str = "\n", encoding: str = "utf-8") -> None:
    path.write_bytes((end.join(lines) + end).encode(encoding))


class Case(NamedTuple):
    """A layout in the words of the page, the options that it needs, and how it is made.

    `table` is the file of --labels, below the data folder.
    """

    what: str
    make: Builder
    table: str | None = None
    malignant: tuple[str, ...] = ()

    def reading(self, folder: Path) -> Reading:
        tables = ((None, folder / self.table),) if self.table else ()
        return Reading(tables=tables, malignant=self.malignant)

    def options(self) -> str:
        words = ["--data DIR"]
        words += [f"--labels DIR/{self.table}"] if self.table else []
        words += [f"--malignant {','.join(self.malignant)}"] if self.malignant else []
        return f"`{' '.join(words)}`"


def two_folders(folder: Path) -> None:
    draw(folder, *(f"benign/{n}.jpg" for n in range(5)), *(f"malignant/{n}.jpg" for n in range(3)))


def sides(*names: str) -> Builder:
    def make(folder: Path) -> None:
        for count, side in enumerate(reversed(names), start=2):
            for name in ("benign", "malignant"):
                draw(folder, *(f"{side}/{name}/{n}.png" for n in range(count)))

    return make


def below(parent: str, make: Builder) -> Builder:
    return lambda folder: make(folder / parent)


def classes(**counts: int) -> Builder:
    def make(folder: Path) -> None:
        for name, count in counts.items():
            draw(folder, *(f"{name.removeprefix('_')}/{n}.jpg" for n in range(count)))

    return make


def own_table(folder: Path) -> None:
    lines = [f"{n}.jpg,{'malignant' if n < 2 else 'benign'},L{n // 2},P{n // 4}" for n in range(8)]
    draw(folder, *(f"{n}.jpg" for n in range(8)))
    write(folder / "labels.csv", "file,label,lesion_id,patient_id", *lines)


def excel(folder: Path) -> None:
    draw(folder, *(f"pictures/{n}.png" for n in range(6)))
    lines = [rf"C:\clinic\pictures\{n}.jpg;{n % 2}" for n in range(6)]
    write(folder / "mine.csv", "File;Label", *lines, end="\r\n", encoding="utf-8-sig")


def ham10000(folder: Path) -> None:
    words = ["nv", "nv", "mel", "mel", "bkl", "bcc", "akiec", "df", "vasc", "nv"]
    rows = [f"HAM_{n // 2:07},ISIC_00243{n:02},{dx},histo,45.0" for n, dx in enumerate(words)]
    draw(folder, *(f"HAM10000_images_part_{n % 2 + 1}/ISIC_00243{n:02}.jpg" for n in range(10)))
    write(folder / "HAM10000_metadata.csv", "lesion_id,image_id,dx,dx_type,age", *rows)


def one_hot(*header: str, unknown: int) -> Builder:
    def make(folder: Path) -> None:
        rows = []
        for n in range(len(header) + unknown):
            marks = ["1.0" if n == place else "0.0" for place in range(len(header))]
            rows.append(",".join([f"ISIC_00001{n:02}", *marks]))
        draw(folder, *(f"Training_Input/{row.split(',')[0]}.jpg" for row in rows))
        write(folder / "GroundTruth.csv", ",".join(["image", *header]), *rows)

    return make


def siim_2020(folder: Path) -> None:
    rows = [
        f"ISIC_26375{n:02},IP_{n // 3},male,45.0,torso,{word},{kind},{target}"
        for n, (word, kind, target) in enumerate(
            [("unknown", "benign", 0)] * 4
            + [("nevus", "benign", 0)] * 2
            + [("melanoma", "malignant", 1)] * 3
        )
    ]
    header = "image_name,patient_id,sex,age_approx,anatom_site_general_challenge,diagnosis"
    draw(folder, *(f"jpeg/train/{row.split(',')[0]}.jpg" for row in rows))
    write(folder / "train.csv", f"{header},benign_malignant,target", *rows)


def isic_2017(folder: Path) -> None:
    rows = [f"ISIC_00000{n:02},{n % 3 == 0:d}.0,{n % 3 == 1:d}.0" for n in range(9)]
    draw(folder, *(f"ISIC-2017_Training_Data/{row.split(',')[0]}.jpg" for row in rows))
    header = "image_id,melanoma,seborrheic_keratosis"
    write(folder / "ISIC-2017_Training_Part3_GroundTruth.csv", header, *rows)


ARCHIVE = (
    ("Benign", "Benign melanocytic proliferations", "Nevus", ""),
    ("Benign", "Benign epidermal proliferations", "Seborrheic keratosis", ""),
    ("Malignant", "Malignant melanocytic proliferations (Melanoma)", "Melanoma Invasive", ""),
    ("Malignant", "Malignant melanocytic proliferations (Melanoma)", "Melanoma in situ", "x"),
    ("Malignant", "Malignant epidermal proliferations", "Squamous cell carcinoma, NOS", ""),
    ("Malignant", "Malignant adnexal epithelial proliferations", "Basal cell carcinoma", "Nodular"),
    ("Indeterminate", "Indeterminate melanocytic proliferations", "", ""),
)


def isic_archive(folder: Path) -> None:
    rows = [
        f'ISIC_01000{n:02},"{one}","{two}","{three}","{four}",,IL_{n // 2},IP_{n // 4}'
        for n, (one, two, three, four) in enumerate(ARCHIVE)
    ]
    levels = ",".join(f"diagnosis_{level}" for level in range(1, 6))
    draw(folder, *(f"{row.split(',')[0]}.jpg" for row in rows))
    write(folder / "metadata.csv", f"isic_id,{levels},lesion_id,patient_id", *rows)


def ph2(folder: Path) -> None:
    rows = []
    for n in range(6):
        name = f"IMD{n:03}"
        case = f"PH2 Dataset images/{name}/{name}"
        draw(folder, f"{case}_Dermoscopic_Image/{name}.bmp", f"{case}_lesion/{name}_lesion.bmp")
        rows.append(f"|| {name} ||                  ||     {n % 3}    || 0 || T ||  3  4 ||")
    header = "||  Name  || Histological Diagnosis || Clinical Diagnosis || Asymmetry || Streaks ||"
    legend = ("", "Legend:", "0 - Common Nevus; 1 - Atypical Nevus; 2 - Melanoma")
    write(folder / "PH2_dataset.txt", header, *rows, *legend)


def ph2_sheet(folder: Path) -> None:
    draw(folder, *(f"IMD{n:03}.bmp" for n in range(6)))
    marks = [";".join("X" if n % 3 == place else "" for place in range(3)) for n in range(6)]
    rows = [f"IMD{n:03};;{mark}" for n, mark in enumerate(marks)]
    header = "Image Name;Histological Diagnosis;Common Nevus;Atypical Nevus;Melanoma"
    write(folder / "PH2_dataset.csv", "PH2 Dataset;;;;", "X: present;;;;", header, *rows)


def derm7pt(folder: Path) -> None:
    words = ["clark nevus", "melanoma (in situ)", "melanoma (0.76 to 1.5 mm)", "blue nevus"]
    words += ["melanoma metastasis", "basal cell carcinoma"]
    rows = [f"{n + 1},{word},Nel/Nel{n}c.jpg,NEL/NEL{n}.JPG" for n, word in enumerate(words)]
    for n in range(len(words)):
        draw(folder, f"images/NEL/NEL{n}.JPG", f"images/Nel/Nel{n}c.jpg")
    (folder / "meta").mkdir()
    write(folder / "meta" / "meta.csv", "case_num,diagnosis,clinic,derm", *rows)


CARCINOMAS = ("mel", "bcc", "akiec")
HAM_FOLDERS = classes(akiec=1, bcc=2, bkl=3, df=1, mel=4, nv=6, vasc=1)
ISIC_2018 = one_hot("MEL", "NV", "BCC", "AKIEC", "BKL", "DF", "VASC", unknown=0)
ISIC_2019 = one_hot("MEL", "NV", "BCC", "AK", "BKL", "DF", "VASC", "SCC", "UNK", unknown=1)
CASES = (
    Case("folders `benign` and `malignant`", two_folders),
    Case("the same in `train` and `test`", sides("train", "test")),
    Case("the same in `train`, `valid` and `test`", sides("train", "valid", "test")),
    Case("the same in `training`, `val` and `testing`", sides("training", "val", "testing")),
    Case("one folder too high", below("archive/melanoma_cancer_dataset", sides("train", "test"))),
    Case("a doubled folder", below("set/set", two_folders)),
    Case("folders `melanoma` and `nevus`", classes(melanoma=3, nevus=5), None, ("melanoma",)),
    Case("folders `1` and `0`", classes(_1=3, _0=5), None, ("1",)),
    Case("the seven folders of HAM10000", HAM_FOLDERS, None, CARCINOMAS),
    Case("`labels.csv` in DIR", own_table),
    Case("a table from Excel: semicolons, BOM, Windows paths", excel, "mine.csv"),
    Case("HAM10000, melanoma", ham10000, "HAM10000_metadata.csv", ("mel",)),
    Case("HAM10000, every cancer", ham10000, "HAM10000_metadata.csv", CARCINOMAS),
    Case("ISIC 2018", ISIC_2018, "GroundTruth.csv", CARCINOMAS),
    Case("ISIC 2019", ISIC_2019, "GroundTruth.csv", (*CARCINOMAS, "scc")),
    Case("SIIM and ISIC 2020", siim_2020, "train.csv"),
    Case("ISIC 2017", isic_2017, "ISIC-2017_Training_Part3_GroundTruth.csv"),
    Case("ISIC Archive (isic-cli)", isic_archive, "metadata.csv"),
    Case("ISIC Archive, melanoma", isic_archive, "metadata.csv", ("melanoma",)),
    Case("PH2, its text file", ph2, "PH2_dataset.txt"),
    Case("PH2, its sheet saved as CSV", ph2_sheet, "PH2_dataset.csv"),
    Case("derm7pt", derm7pt, "meta/meta.csv", ("mel", "bcc")),
)


def flat(folder: Path) -> None:
    draw(folder, "1.jpg", "2.jpg")


REFUSED = (
    Case("a flat folder", flat),
    Case("folders of other names", classes(melanoma=1, nevus=1)),
    Case("a table of diagnoses", ham10000, "HAM10000_metadata.csv"),
    Case("its table is not given", ham10000),
    Case("a class that nobody has", classes(melanoma=1, nevus=1), None, ("melanomma",)),
    Case("several data sets", classes(**{"a/benign": 1, "b/benign": 1})),
)


def row_of(case: Case, records: tuple[LesionRecord, ...]) -> str:
    benign, malignant = count_classes(records)
    counts = Counter(record.side for record in records if record.side)
    told = ", ".join(f"{counts[s]} {s}" for s in ("train", "validation", "test") if counts[s])
    kinds = {"lesions": "lesion_id", "patients": "patient_id"}
    groups = {
        name: len({getattr(record, field) for record in records} - {None})
        for name, field in kinds.items()
    }
    grouped = ", ".join(f"{count} {name}" for name, count in groups.items() if count)
    cells = (case.what, case.options(), benign, malignant, told or "none", grouped or "none")
    return f"| {' | '.join(map(str, cells))} |"


def render(tmp_path: Path) -> dict[str, list[str]]:
    """The lines of both tables, by the name of the table."""
    read = ["| what you have | read by | benign | malignant | given sides | groups |"]
    read.append("|---|---|---:|---:|---|---|")
    refused = ["| what you have | read by | what is said |", "|---|---|---|"]
    for number, case in enumerate((*CASES, *REFUSED)):
        folder = tmp_path / str(number) / "DIR"
        folder.mkdir(parents=True)
        case.make(folder)
        if case in REFUSED:
            with pytest.raises(EdgeMelanomaError) as caught:
                read_lesions(folder, case.reading(folder))
            told = str(caught.value).replace(str(folder), "DIR")
            refused.append(f"| {case.what} | {case.options()} | {told} |")
        else:
            read.append(row_of(case, read_lesions(folder, case.reading(folder))))
    return {"read": read, "refused": refused}


def test_the_page_says_what_is_read_of_every_layout(tmp_path: Path) -> None:
    page = DOCS.read_text(encoding="utf-8")
    made = page
    for name, lines in render(tmp_path).items():
        table = f"<!-- {name} -->\n\n" + "\n".join(lines) + f"\n\n<!-- end {name} -->"
        pattern = rf"<!-- {name} -->.*?<!-- end {name} -->"
        made, count = re.subn(pattern, table.replace("\\", r"\\"), made, flags=re.DOTALL)
        assert count == 1, name
    if os.environ.get(WRITE):
        DOCS.write_text(made, encoding="utf-8")
    assert page == made, f"{DOCS} is not up to date: run this test with {WRITE}=1"
