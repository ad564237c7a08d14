from torchaudio import transforms as transforms
