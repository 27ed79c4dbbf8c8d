from __future__ import annotations

import io
import os
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image, ImageOps

from xai_layermask.errors import InputError
from xai_layermask.images import Preprocess, read_image, sample_name, sample_photograph
from xai_layermask.images.depth import Depth
from xai_layermask.images.raster import read_raw
from xai_layermask.images.read import read_picture

RGB = np.arange(2 * 5 * 3, dtype=np.uint8).reshape(2, 5, 3) * 8


def one(colour):
    return np.array([[colour]], np.uint8).tolist()


def test_the_sample_is_the_photograph_of_its_name():
    import skimage.data

    assert np.array_equal(sample_photograph(), getattr(skimage.data, sample_name)())
    assert sample_photograph().dtype == np.uint8


def test_the_sample_needs_no_network(monkeypatch):
    import socket

    def refuse(*args, **kwargs):
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket, "socket", refuse)
    assert sample_photograph().shape == (400, 600, 3)


@pytest.mark.parametrize("wrap", [str, Path, lambda path: os.fsencode(str(path)).decode()])
@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tiff", ".webp"])
def test_a_path_of_any_kind(tmp_path, wrap, suffix):
    path = tmp_path / f"a picture{suffix}"
    Image.fromarray(RGB).save(path, **({"lossless": True} if suffix == ".webp" else {}))
    assert np.array_equal(read_image(wrap(path)), RGB)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation_is_honoured(tmp_path, orientation):
    # What a viewer must do to the stored pixels, by the EXIF standard's table.
    upright = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.transpose(1, 0, 2),
        6: lambda a: a[::-1].transpose(1, 0, 2),
        7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
        8: lambda a: a.transpose(1, 0, 2)[::-1],
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(RGB).save(tmp_path / "turned.png", exif=exif)
    assert np.array_equal(read_image(tmp_path / "turned.png"), upright(RGB))
    with Image.open(tmp_path / "turned.png") as image:
        assert np.array_equal(read_image(image), upright(RGB))
        assert image.size == (5, 2)  # the caller's image is not turned


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (Image.new("RGB", (1, 1), (10, 20, 30)), (10, 20, 30)),
        (Image.new("L", (1, 1), 70), (70, 70, 70)),
        (Image.new("1", (1, 1), 1), (255, 255, 255)),
        (Image.new("RGB", (1, 1), (10, 20, 30)).convert("P", palette=Image.Palette.ADAPTIVE), (10, 20, 30)),
        (Image.new("RGBA", (1, 1), (10, 20, 30, 255)), (10, 20, 30)),
        (Image.new("RGBA", (1, 1), (10, 20, 30, 0)), (255, 255, 255)),
        (Image.new("RGBA", (1, 1), (0, 100, 200, 102)), (153, 193, 233)),  # 0.4 of it on white
        (Image.new("LA", (1, 1), (70, 0)), (255, 255, 255)),
        (Image.new("LA", (1, 1), (70, 255)), (70, 70, 70)),
        (Image.new("CMYK", (1, 1), (255, 0, 0, 0)), (0, 255, 255)),
        (Image.new("CMYK", (1, 1), (0, 0, 0, 255)), (0, 0, 0)),
        (Image.new("HSV", (1, 1), (0, 255, 255)), (255, 0, 0)),
        (Image.new("YCbCr", (1, 1), (70, 128, 128)), (70, 70, 70)),
        (Image.fromarray(np.array([[65535]], np.uint16)), (255, 255, 255)),
        (Image.fromarray(np.array([[70 * 257]], np.uint16)), (70, 70, 70)),
        (Image.fromarray(np.array([[70 * 257]], np.int32)), (70, 70, 70)),
        (Image.new("L", (1, 1), 70).convert("I"), (70, 70, 70)),
        (Image.fromarray(np.array([[0.2]], np.float32)), (51, 51, 51)),
    ],
    ids=lambda value: value.mode if isinstance(value, Image.Image) else None,
)
def test_a_pil_image_of_any_mode(image, expected):
    assert read_image(image).tolist() == one(expected)


def test_a_transparent_entry_of_a_palette_shows_white(tmp_path):
    image = Image.fromarray(np.array([[0, 1]], np.uint8), mode=None).convert("P")
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.save(tmp_path / "palette.png", transparency=1)
    assert read_image(tmp_path / "palette.png").tolist() == [[[10, 20, 30], [255, 255, 255]]]


def test_sixteen_bits_from_a_file(tmp_path):
    grey = np.array([[0, 257, 32896, 65535]], np.uint16)
    Image.fromarray(grey).save(tmp_path / "deep.png")
    assert read_image(tmp_path / "deep.png")[0, :, 0].tolist() == [0, 1, 128, 255]


def test_the_first_frame_of_a_moving_picture(tmp_path):
    frames = [Image.new("L", (3, 2), level) for level in (0, 255)]
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:])
    assert not read_image(tmp_path / "moving.gif").any()


@settings(max_examples=60)
@given(
    data=st.data(),
    channels=st.sampled_from([1, 3, 4]),
    kind=st.sampled_from([np.uint8, np.uint16, np.float16, np.float32, np.float64]),
)
def test_arrays_of_every_layout_and_type_agree(data, channels, kind):
    shape = (data.draw(st.integers(5, 8)), data.draw(st.integers(5, 8)), channels)
    grey = data.draw(hnp.arrays(np.uint8, shape))
    grey[0, 0] = 255  # all bits are used
    full = {np.uint8: 255, np.uint16: 65535}.get(kind, 1)
    array = (grey.astype(np.float64) / 255 * full).round(0 if full > 1 else 15).astype(kind)
    expected = np.broadcast_to(grey[..., :3], (*shape[:2], 3)).astype(float)
    if channels == 4:
        alpha = grey[..., 3:] / 255
        expected = expected * alpha + 255 * (1 - alpha)
    for layout in (array, array.transpose(2, 0, 1), np.asfortranarray(array)):
        read = read_image(layout)
        assert read.dtype == np.uint8
        assert read.flags.c_contiguous
        assert np.abs(read - expected).max() <= (0 if channels < 4 else 1)  # Pillow rounds when it blends
    if channels == 1:
        assert np.array_equal(read_image(array[..., 0]), read_image(array))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.float64, torch.float16, torch.bfloat16])
def test_tensors(dtype):
    tensor = torch.from_numpy(RGB).permute(2, 0, 1)
    tensor = tensor if dtype == torch.uint8 else (tensor / 255).to(dtype)
    tolerance = 1 if dtype == torch.bfloat16 else 0
    for given_ in (tensor, tensor[None]):
        assert np.abs(read_image(given_).astype(int) - RGB).max() <= tolerance
    if dtype != torch.uint8:
        assert np.abs(read_image(tensor.requires_grad_()).astype(int) - RGB).max() <= tolerance
    assert np.array_equal(read_image(torch.full((1, 2, 2), 9, dtype=torch.uint8)), np.full((2, 2, 3), 9))


def test_what_comes_back_is_a_copy():
    array = RGB.copy()
    read_image(array)[:] = 0
    read_image(torch.from_numpy(array).permute(2, 0, 1))[:] = 0
    assert np.array_equal(array, RGB)


def test_rounding_noise_around_zero_and_one_is_forgiven():
    assert read_image(np.array([[-1e-4, 1 + 1e-4]])).tolist() == [[[0] * 3, [255] * 3]]


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.full((4, 4, 3), np.nan), "expected finite numbers in image, got NaN or infinity"),
        (np.full((4, 4, 3), np.inf, np.float32), "expected finite numbers in image, got NaN or infinity"),
        (np.full((4, 4, 3), 200.0), "expected floats from 0 to 1 in image, got values from 200 to 200: divide by 255"),
        (torch.full((3, 4, 4), -1.5), "expected floats from 0 to 1 in image, got values from -1.5 to -1.5"),
        (np.zeros((4, 4, 3), np.int64), "expected uint8, uint16 or floating-point numbers in image, got int64"),
        (np.zeros((4, 4), bool), r"in image, got bool: use astype\('uint8'\) \* 255"),
        (np.ma.masked_less(RGB / 255, 0.1), "expected an array without masked elements for image, got 4 masked ones"),
        (np.zeros((4, 4), complex), "in image, got complex128"),
        (np.full((4, 4), "a"), "in image, got <U1"),
        (torch.zeros(3, 4, 4, dtype=torch.int32), "in image, got int32"),
        (np.zeros((5, 5, 2), np.uint8), r"expected 1, 3 or 4 channels in image, got an array \(5, 5, 2\)"),
        (np.zeros(5, np.uint8), r"\(H, W, C\) or \(C, H, W\) for image, got \(5,\)"),
        (np.zeros((1, 5, 5, 3), np.uint8), r"for image, got \(1, 5, 5, 3\)"),
        (np.zeros((0, 5, 3), np.uint8), r"expected at least one pixel in image, got an array \(0, 5, 3\)"),
        (torch.zeros(3, 0, 5), "at least one pixel in image"),
        (torch.zeros(5, 5, 3), r"1, 3 or 4 channels for image, got \(5, 5, 3\): move the channels"),
        (torch.zeros(5, 5), r"for image, got \(5, 5\): add the channels with tensor\[None\]$"),
        (torch.zeros(2, 4, 5), r"for image, got \(2, 4, 5\)$"),
        (torch.zeros(2, 3, 5, 5), r"expected one picture for image, got a tensor \(2, 3, 5, 5\): pass one at a time"),
        (None, "expected a path, a PIL image, an array or a tensor for image, got NoneType"),
        (b"bytes", "for image, got bytes"),
        (io.BytesIO(), "for image, got BytesIO"),
        (Image.new("RGB", (0, 3)), "expected at least one pixel in image, got the PIL image of 0 x 3"),
        (Image.fromarray(np.array([[-4, 9]], np.int32)), "greys from 0 to 65535 in image, got values from -4 to 9"),
        (Image.fromarray(np.array([[3.0]], np.float32)), "floats from 0 to 1 in image, got values from 3 to 3"),
    ],
)
def test_bad_pictures_are_named(image, message):
    with pytest.raises(InputError, match=message) as caught:
        read_image(image)
    assert "\n" not in str(caught.value)


def test_a_closed_pil_image_is_named(tmp_path):
    Image.fromarray(RGB).save(tmp_path / "x.png")
    image = Image.open(tmp_path / "x.png")
    image.close()
    with pytest.raises(InputError, match="complete picture for image, got the PIL image that cannot be decoded"):
        read_image(image)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "expected an existing file for image, got '.*broken.png'"),
        (b"", "expected a picture for image, got the empty file '.*broken.png'"),
        (b"hello, I am no picture", "in one of the formats AVIF, .* for image, got the file '.*broken.png': convert"),
        ("png", "expected a complete picture for image, got the file '.*broken.png' that cannot be"),
        ("jpeg", "expected a complete picture for image, got the file '.*broken.png' that cannot be"),
        ("tiff", "broken.png"),
    ],
)
def test_bad_files_are_named(tmp_path, content, message):
    path = tmp_path / "broken.png"
    if isinstance(content, str):  # cut short
        whole = io.BytesIO()
        Image.fromarray(sample_photograph()).save(whole, content)
        content = whole.getvalue()[: len(whole.getvalue()) // 2]
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        read_image(path)
    assert "\n" not in str(caught.value)


def test_a_folder_is_named(tmp_path):
    with pytest.raises(InputError, match=r"expected a file for image, got the folder"):
        read_image(tmp_path)


@settings(max_examples=60)
@given(st.binary(min_size=1, max_size=200), st.integers(0, 120))
def test_damaged_files_end_in_a_picture_or_in_an_input_error(tmp_path_factory, noise, start):
    whole = io.BytesIO()
    Image.fromarray(RGB).save(whole, "png")
    damaged = bytearray(whole.getvalue())
    damaged[start : start + len(noise)] = noise
    path = tmp_path_factory.mktemp("damaged") / "x.png"
    path.write_bytes(damaged)
    message = "x.png"
    try:
        picture = read_image(path)
    except InputError as error:
        message = str(error)
    else:
        assert picture.dtype == np.uint8
    assert "x.png" in message


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_picture_that_is_too_large_is_named(tmp_path, monkeypatch):
    Image.fromarray(RGB).save(tmp_path / "bomb.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 2)
    with pytest.raises(InputError, match=r"expected a readable picture for image, got the file .* \(Image size"):
        read_image(tmp_path / "bomb.png")


@pytest.mark.parametrize("suffix", ["png", "jpeg", "webp"])
def test_damaged_exif_of_a_sound_picture_is_ignored(tmp_path, suffix):
    path = tmp_path / f"x.{suffix}"
    Image.fromarray(RGB).save(path, exif=b"Exif\x00\x00MM\x00*\xff\xff\xff\xff rubbish")
    assert read_image(path).shape == RGB.shape


def test_formats_that_start_other_programs_are_refused(tmp_path):
    path = tmp_path / "x.png"
    Image.fromarray(RGB).save(path, "EPS")
    with pytest.raises(InputError, match=r"expected a picture in one of the formats AVIF, .*: convert it"):
        read_image(path)


@pytest.mark.parametrize("error", [ValueError, RuntimeError, SyntaxError, OverflowError, MemoryError, IndexError])
@pytest.mark.parametrize("place", ["open", "load"])
def test_whatever_a_decoder_raises_is_about_the_file(tmp_path, monkeypatch, error, place):
    from PIL import PngImagePlugin

    def broken(*args, **kwargs):
        raise error("Decompressed data too large\nfor PngImagePlugin")

    path = tmp_path / "x.png"
    Image.fromarray(RGB).save(path)
    monkeypatch.setattr(*((Image, "open") if place == "open" else (PngImagePlugin.PngImageFile, "load")), broken)
    with pytest.raises(
        InputError, match=r"^expected .* for image, got the file .*x.png'.*\(Decompressed data too larg"
    ):
        read_image(path)


def test_a_pipe_is_no_folder(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="expected a file for image, got the device or pipe"):
        read_image(tmp_path / "pipe")


# --- tensors whose values numpy cannot read as they are ---


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda x: x.to("meta"), r"got a tensor without values \(on the meta device\)"),
        (lambda x: x.to_sparse(), r"got a tensor of layout sparse_coo: use tensor.to_dense\(\)"),
        (lambda x: torch.quantize_per_tensor(x, 0.01, 0, torch.quint8), r"got a quantised tensor: use tensor.dequan"),
        (lambda x: torch.nested.nested_tensor([x, x]), r"got a nested tensor: pass one picture of it, such as tensor"),
    ],
    ids=["meta", "sparse", "quantised", "nested"],
)
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
def test_tensors_without_plain_values_are_named(make, message):
    with pytest.raises(InputError, match=f"expected a dense tensor of numbers for image, {message}"):
        read_image(make(torch.rand(3, 4, 5)))


@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.float8_e5m2, torch.bfloat16])
def test_short_floats_are_read(dtype):
    tensor = torch.tensor([0.0, 0.5, 1.0]).view(3, 1, 1).to(dtype)
    assert read_image(tensor).tolist() == [[[0, 128, 255]]]


def test_a_negative_view_is_read():
    negative = torch.tensor([1 - 0.5j, 1 - 1j, 1 + 0j]).conj().imag.view(3, 1, 1)
    assert negative.is_neg()
    assert read_image(negative).tolist() == [[[128, 255, 0]]]


@pytest.mark.parametrize("orientation", [2, 3, 6, 8])
def test_a_tiff_is_turned_once(tmp_path, orientation):
    picture = np.random.default_rng(0).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    path = tmp_path / "turned.tif"
    Image.fromarray(picture).save(path, tiffinfo={274: orientation})
    with Image.open(path) as image:
        expected = np.asarray(ImageOps.exif_transpose(image))
    np.testing.assert_array_equal(read_image(path), expected)


def test_colours_of_16_bits_in_a_tiff_keep_their_numbers(tmp_path):
    tifffile = pytest.importorskip("tifffile")
    colours = np.random.default_rng(0).integers(0, 4096, (8, 8, 3)).astype(np.uint16)
    path = tmp_path / "deep.tif"
    tifffile.imwrite(path, colours, photometric="rgb")
    plain = Preprocess(None, None, bits=12)
    np.testing.assert_array_equal(plain(path).picture, plain(colours).picture)
    assert plain(path).picture.max() > 240


def test_a_dark_grey_tiff_stays_dark(tmp_path):
    path = tmp_path / "dark.tif"
    Image.fromarray(np.linspace(0, 250, 64).reshape(8, 8).astype(np.uint16)).save(path)
    assert Preprocess(None, None, bits=12)(path).picture.max() == 16  # 250 of 4095


def test_a_tiff_that_claims_a_huge_size_is_refused(tmp_path, monkeypatch):
    tifffile = pytest.importorskip("tifffile")
    path = tmp_path / "bomb.tif"
    tifffile.imwrite(path, np.zeros((40, 40, 5), np.uint8), compression="zlib")
    raster = Preprocess(None, None, mean=0, std=1, channels=5)
    assert raster(path).tensor.shape == (1, 5, 40, 40)
    monkeypatch.setattr("xai_layermask.images.tiff._LARGEST", 1000)
    with pytest.raises(InputError):
        raster(path)


def png_of_16_bits(pixels, exif=b""):
    """A PNG file of uint16 `(H, W, C)`, which Pillow cannot write for colours."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width, channels = pixels.shape
    header = struct.pack(">IIBBBBB", width, height, 16, {2: 4, 3: 2, 4: 6}[channels], 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    parts = [chunk(b"IHDR", header), chunk(b"eXIf", exif) if exif else b"", chunk(b"IDAT", zlib.compress(rows))]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts) + chunk(b"IEND", b"")


def test_16_bit_colours_of_a_png_keep_their_bits(tmp_path):
    pytest.importorskip("torchvision")
    pixels = np.random.default_rng(0).integers(0, 4096, (5, 7, 3)).astype(np.uint16)
    pixels[0, 0] = 4095
    path = tmp_path / "x.png"
    path.write_bytes(png_of_16_bits(pixels))
    depth = Depth()
    expected = np.rint(pixels / 4095 * 255).astype(np.uint8)
    np.testing.assert_array_equal(read_picture(path, depth), expected)
    assert depth.note == "12 of 16 bits used: 4095 is white"
    np.testing.assert_array_equal(read_image(path, bits=16), np.rint(pixels / 65535 * 255).astype(np.uint8))
    np.testing.assert_array_equal(read_raw(path), pixels)
    # Alpha has 16 bits, whatever the colours use; what is transparent is white.
    alpha = np.full((5, 7, 1), 65535, np.uint16)
    alpha[2:] = 0
    path.write_bytes(png_of_16_bits(np.concatenate([pixels, alpha], axis=2)))
    seen = np.where(alpha > 0, expected, 255)
    np.testing.assert_array_equal(read_image(path), seen)
    path.write_bytes(png_of_16_bits(np.concatenate([pixels[..., :1], alpha], axis=2)))
    grey = np.where(alpha > 0, expected[..., :1], 255)
    np.testing.assert_array_equal(read_image(path), np.broadcast_to(grey, seen.shape))


def test_a_16_bit_png_is_turned_and_damage_is_named(tmp_path):
    pytest.importorskip("torchvision")
    pixels = np.random.default_rng(0).integers(0, 65536, (5, 7, 3)).astype(np.uint16)
    exif = Image.Exif()
    exif[0x0112] = 6
    content = png_of_16_bits(pixels, exif.tobytes().removeprefix(b"Exif\0\0"))
    (tmp_path / "x.png").write_bytes(content)
    found = read_image(tmp_path / "x.png", bits=16)
    np.testing.assert_array_equal(found, np.rot90(np.rint(pixels / 65535 * 255).astype(np.uint8), -1))
    (tmp_path / "x.png").write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match=r"^expected a complete picture for image, got the file .* truncated"):
        read_image(tmp_path / "x.png")


def test_without_torchvision_a_16_bit_png_is_read_by_its_upper_bits(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torchvision.io", None)
    pixels = np.random.default_rng(0).integers(0, 65536, (5, 7, 3)).astype(np.uint16)
    (tmp_path / "x.png").write_bytes(png_of_16_bits(pixels))
    depth = Depth()
    np.testing.assert_array_equal(read_picture(tmp_path / "x.png", depth), pixels >> 8)
    assert depth.note == "8 of 16 bits read: install torchvision for all"


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_tiff_of_16_bit_colours_is_turned(tmp_path, orientation, planar):
    tifffile = pytest.importorskip("tifffile")
    colours = np.random.default_rng(0).integers(0, 1 << 16, (4, 6, 3)).astype(np.uint16)
    path, tag = tmp_path / "turned.tif", (274, "H", 1, orientation, True)
    stored = colours if planar == "contig" else colours.transpose(2, 0, 1)
    tifffile.imwrite(path, stored, photometric="rgb", planarconfig=planar, extratags=[tag])
    eight = Image.fromarray((colours >> 8).astype(np.uint8))
    eight.getexif()[274] = orientation
    expected = np.asarray(ImageOps.exif_transpose(eight))
    for found in (read_image(path), Preprocess(None, None).prepare(path).picture):
        assert found.shape == expected.shape
        np.testing.assert_allclose(found.astype(int), expected, atol=1)


def test_four_inks_of_16_bits_are_no_colours_with_alpha(tmp_path):
    tifffile = pytest.importorskip("tifffile")
    inks = np.zeros((4, 6, 4), np.uint16)
    inks[..., 0] = 65535  # cyan
    path = tmp_path / "cyan.tif"
    tifffile.imwrite(path, inks, photometric="separated", extratags=[(332, "H", 1, 1, True)])
    assert Preprocess(None, None).prepare(path).picture[0, 0].tolist() == [0, 255, 255]
    assert read_image(path)[0, 0].tolist() == [0, 255, 255]
    tifffile.imwrite(path, inks.transpose(2, 0, 1), photometric="separated", planarconfig="separate")
    for read in (read_image, Preprocess(None, None).prepare):
        with pytest.raises(InputError, match="expected a TIFF of"):
            read(path)


@pytest.mark.parametrize(("bits", "order"), [(8, "<"), (16, "<"), (16, ">")])
def test_a_scale_from_white_to_black(tmp_path, bits, order):
    tifffile = pytest.importorskip("tifffile")
    greys = np.full((4, 6), 2**bits - 1, f"uint{bits}")
    greys[0] = 0
    path = tmp_path / "white.tif"
    tifffile.imwrite(path, greys, photometric="miniswhite", byteorder=order)
    for read in (read_image, lambda img: Preprocess(None, None).prepare(img).picture)[order == ">" :]:
        picture = read(path)  # Pillow, and so read_image, does not know this type in the other byte order
        assert picture[:2, 0, 0].tolist() == [255, 0]


def test_numbers_of_either_byte_order(tmp_path):
    tifffile = pytest.importorskip("tifffile")
    greys = np.random.default_rng(0).integers(0, 1 << 16, (4, 6)).astype(np.uint16)
    path = tmp_path / "big.tif"
    tifffile.imwrite(path, greys, byteorder=">")
    for img in (path, greys.astype(">u2")):
        np.testing.assert_array_equal(read_image(img), read_image(greys))
        np.testing.assert_array_equal(Preprocess(None, None).prepare(img).picture, read_image(greys))


def test_alpha_may_have_more_bits_than_colours(tmp_path):
    tifffile = pytest.importorskip("tifffile")
    layers = np.full((4, 6, 4), 4095, np.uint16)
    layers[0, 0, :3] = 0
    opaque = layers.copy()
    opaque[..., 3] = 65535
    path = tmp_path / "alpha.tif"
    tifffile.imwrite(path, opaque, photometric="rgb", extrasamples=["unassalpha"])
    assert read_image(layers)[0, :2, 0].tolist() == [0, 255]
    assert read_image(opaque)[0, :2, 0].tolist() == [0, 255]
    for picture in (read_image(path), Preprocess(None, None).prepare(path).picture):
        assert picture[0, :2, 0].tolist() == [0, 255]


def test_a_narrow_tensor_keeps_its_shape_where_pixels_are_missing():
    tensor = torch.rand(3, 8, 4)
    whole = Preprocess(None, None).prepare(tensor).picture
    tensor[:, 0, 0] = torch.nan
    shown = Preprocess(None, None).prepare(tensor)
    np.testing.assert_array_equal(shown.picture[1:], whole[1:])
    assert shown.present.sum() == 31 and not shown.present[0, 0]
